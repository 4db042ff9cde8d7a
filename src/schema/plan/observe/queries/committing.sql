-- What this transaction has locked, where the files of it lie by now, and how many rows the session has written there and
-- not yet told the server.
SELECT
    l.relation,
    l.mode,
    n.nspname AS schema,
    c.relname AS name,
    c.relkind::pg_catalog.text AS kind,
    c.relfilenode AS file,
    coalesce(c.relispartition, false) AS is_partition,
    pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation)
    + pg_catalog.pg_stat_get_xact_tuples_updated(l.relation) AS written,
    pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation) AS deleted
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384
