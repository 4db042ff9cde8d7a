-- One row: whether the lock was taken at once, by which process, and whether the server lists it as that process's own.
-- $1 the key, $2 whether to share it.
SELECT
  attempt.taken,
  pg_catalog.pg_backend_pid() AS backend_pid,
  EXISTS (
    SELECT
    FROM pg_catalog.pg_locks AS held
    WHERE attempt.taken
      AND held.granted
      AND held.locktype OPERATOR(pg_catalog.=) 'advisory'
      AND held.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
      AND held.classid OPERATOR(pg_catalog.=) (($1::pg_catalog.int8 OPERATOR(pg_catalog.>>) 32)::pg_catalog.int4)::pg_catalog.oid
      AND held.objid OPERATOR(pg_catalog.=) (($1::pg_catalog.int8 OPERATOR(pg_catalog.&) 4294967295))::pg_catalog.oid
      AND held.objsubid OPERATOR(pg_catalog.=) 1::pg_catalog.int2
  ) AS listed
FROM (
  SELECT
    CASE
      WHEN $2::pg_catalog.bool THEN pg_catalog.pg_try_advisory_lock_shared($1::pg_catalog.int8)
      ELSE pg_catalog.pg_try_advisory_lock($1::pg_catalog.int8)
    END AS taken
  OFFSET 0
) AS attempt
