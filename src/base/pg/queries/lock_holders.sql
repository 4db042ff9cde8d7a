-- One row for each other session that has the lock in this database, the oldest first. $1 the key.
SELECT
  held.pid,
  false AS waits,
  activity.usename::pg_catalog.text AS role,
  activity.application_name AS application,
  pg_catalog.host(activity.client_addr) AS client,
  activity.backend_type AS kind,
  activity.state,
  activity.query,
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) activity.backend_start)::pg_catalog.float8 AS connected,
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) activity.xact_start)::pg_catalog.float8 AS transaction
FROM pg_catalog.pg_locks AS held
LEFT JOIN pg_catalog.pg_stat_activity AS activity
  ON activity.pid OPERATOR(pg_catalog.=) held.pid
WHERE held.granted
  AND held.locktype OPERATOR(pg_catalog.=) 'advisory'
  AND held.database OPERATOR(pg_catalog.=) (
    SELECT oid
    FROM pg_catalog.pg_database
    WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
  )
  AND held.classid OPERATOR(pg_catalog.=) (($1::pg_catalog.int8 OPERATOR(pg_catalog.>>) 32)::pg_catalog.int4)::pg_catalog.oid
  AND held.objid OPERATOR(pg_catalog.=) (($1::pg_catalog.int8 OPERATOR(pg_catalog.&) 4294967295))::pg_catalog.oid
  AND held.objsubid OPERATOR(pg_catalog.=) 1::pg_catalog.int2
  AND held.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
ORDER BY activity.backend_start, held.pid
