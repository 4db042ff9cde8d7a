-- What this transaction has locked, and what it has done there; every row tells how often something was logged.
--
-- Of what the plan itself has made, only what it made since the last look ($2 is the newest known) and what is named
-- ($3); $1 is the newest relation that was there before.
PREPARE af_db_probe (pg_catalog.oid, pg_catalog.oid, pg_catalog.oid[]) AS
SELECT
    l.relation,
    l.mode,
    l.relkind,
    l.relname,
    l.relfilenode,
    l.reltablespace,
    i.indrelid,
    CASE WHEN l.relkind IN ('r', 'm', 'f') THEN pg_catalog.pg_stat_get_xact_numscans(l.relation) END,
    CASE WHEN l.relkind IN ('r', 'm') THEN pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation) END,
    CASE WHEN l.relkind IN ('r', 'm') THEN pg_catalog.pg_stat_get_xact_tuples_updated(l.relation) END,
    CASE WHEN l.relkind IN ('r', 'm') THEN pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation) END,
    l.relrowsecurity,
    l.relforcerowsecurity,
    l.relowner,
    l.relhassubclass,
    t.last_value
FROM af_db_observer.touched AS t
LEFT JOIN (
    SELECT h.relation, h.mode, c.*
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
        FROM pg_catalog.pg_lock_status()
        WHERE
            pid = pg_catalog.pg_backend_pid()
            AND relation >= 16384
            AND (relation <= $1 OR relation > $2 OR relation = ANY ($3))
            AND locktype = 'relation'
            AND granted
        GROUP BY relation
    ) AS h
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = h.relation
    -- The schema of the tables behind tables.
    WHERE c.relnamespace IS DISTINCT FROM 99
) AS l ON true
-- Whose index it is is known of what was there before.
LEFT JOIN pg_catalog.pg_index AS i ON l.relation > $1 AND l.relkind = 'i' AND i.indexrelid = l.relation
