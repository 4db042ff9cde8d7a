-- Takes what was logged since the last time.
DELETE FROM af_db_observer.log
RETURNING
    what,
    kind,
    identity,
    CASE WHEN class = 'pg_catalog.pg_class'::pg_catalog.regclass THEN object END AS relation,
    CASE WHEN class = 'pg_catalog.pg_proc'::pg_catalog.regclass THEN object END AS function,
    named,
    at
