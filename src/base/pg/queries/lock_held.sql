-- One row: which process answers, and whether it has the lock. $1 the key.
SELECT
  pg_catalog.pg_backend_pid() AS backend_pid,
  EXISTS (
    SELECT
    FROM pg_catalog.pg_locks AS held
    WHERE held.granted
      AND held.locktype OPERATOR(pg_catalog.=) 'advisory'
      AND held.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
      AND held.classid OPERATOR(pg_catalog.=) (($1::pg_catalog.int8 OPERATOR(pg_catalog.>>) 32)::pg_catalog.int4)::pg_catalog.oid
      AND held.objid OPERATOR(pg_catalog.=) (($1::pg_catalog.int8 OPERATOR(pg_catalog.&) 4294967295))::pg_catalog.oid
      AND held.objsubid OPERATOR(pg_catalog.=) 1::pg_catalog.int2
  ) AS listed
