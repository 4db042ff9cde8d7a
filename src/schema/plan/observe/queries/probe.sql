-- What this transaction has locked, and what it has done there; a relation comes with each mode it is locked in.
--
-- $1 is the newest relation that was there before. Of what the plan itself has made, only indexes of what was there before
-- are told: those that are newer than $2, and those that are named ($3). How a relation is, is only looked up where it may be
-- another than at the last look: where it is new, or pg_class was changed since then, which it was $4 times by then. A
-- transaction always has a lock on itself, which is no relation: that row tells for all how often pg_class was changed, how
-- often something was logged, and when the look began.
SELECT
    l.relation,
    l.mode,
    pg_catalog.pg_stat_get_xact_numscans(l.relation),
    pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation),
    pg_catalog.pg_stat_get_xact_tuples_updated(l.relation),
    pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation),
    c.relkind::pg_catalog.text,
    c.relname,
    c.relfilenode,
    c.reltablespace,
    c.relrowsecurity,
    c.relforcerowsecurity,
    c.relowner,
    c.relhassubclass,
    -- Whose index it is is known of what was there before.
    CASE WHEN l.relation > $1 AND c.relkind = 'i' THEN (
        SELECT i.indrelid FROM pg_catalog.pg_index AS i WHERE i.indexrelid = l.relation
    ) END,
    CASE WHEN l.relation IS NULL THEN
        pg_catalog.pg_stat_get_xact_tuples_updated('pg_catalog.pg_class'::pg_catalog.regclass)
        + pg_catalog.pg_stat_get_xact_tuples_deleted('pg_catalog.pg_class'::pg_catalog.regclass)
    END,
    CASE WHEN l.relation IS NULL THEN
        pg_catalog.pg_stat_get_xact_tuples_inserted('af_db_observer.log'::pg_catalog.regclass)
    END,
    CASE WHEN l.relation IS NULL THEN pg_catalog.statement_timestamp() END
FROM pg_catalog.pg_lock_status() AS l
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = CASE
    -- In brackets, because an index is not looked through for what may be another value each time.
    WHEN l.relation > $2 OR $4 <> (
        SELECT
            pg_catalog.pg_stat_get_xact_tuples_updated('pg_catalog.pg_class'::pg_catalog.regclass)
            + pg_catalog.pg_stat_get_xact_tuples_deleted('pg_catalog.pg_class'::pg_catalog.regclass)
    ) THEN l.relation
END
WHERE
    l.pid = pg_catalog.pg_backend_pid()
    AND (
        l.locktype = 'relation'
        AND l.relation >= 16384
        AND (
            l.relation <= $1
            OR l.relation = ANY ($3)
            OR l.relation > $2 AND EXISTS (
                SELECT FROM pg_catalog.pg_index AS i WHERE i.indexrelid = l.relation AND i.indrelid <= $1
            )
        )
        AND l.granted
        OR l.locktype = 'virtualxid'
    )
