-- The locks another session holds on relations at this moment.
SELECT relation, mode
FROM pg_catalog.pg_locks
WHERE pid = $1 AND locktype = 'relation' AND granted AND relation >= 16384
