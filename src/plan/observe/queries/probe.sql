-- What this transaction has locked, and what it has done there; every row tells how often something was logged.
PREPARE af_db_probe AS
SELECT
    l.relation,
    l.mode,
    c.relkind,
    c.relname,
    c.relfilenode,
    c.reltablespace,
    i.indrelid,
    pg_catalog.pg_stat_get_xact_numscans(l.relation),
    pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation),
    pg_catalog.pg_stat_get_xact_tuples_updated(l.relation),
    pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation),
    c.relrowsecurity,
    c.relforcerowsecurity,
    c.relowner,
    t.last_value
FROM (
    SELECT
        relation,
        max(CASE mode
            WHEN 'AccessShareLock' THEN 1
            WHEN 'RowShareLock' THEN 2
            WHEN 'RowExclusiveLock' THEN 3
            WHEN 'ShareUpdateExclusiveLock' THEN 4
            WHEN 'ShareLock' THEN 5
            WHEN 'ShareRowExclusiveLock' THEN 6
            WHEN 'ExclusiveLock' THEN 7
            WHEN 'AccessExclusiveLock' THEN 8
        END) AS mode
    FROM pg_catalog.pg_locks
    WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND granted AND relation >= 16384
    GROUP BY relation
) AS l
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = l.relation
CROSS JOIN af_db_observer.touched AS t
-- The schema of the tables behind tables.
WHERE c.relnamespace IS DISTINCT FROM 99
