-- What this transaction has locked, and where the files of it lie by now.
SELECT l.relation, l.mode, c.relfilenode AS file
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384
