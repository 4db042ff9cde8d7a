-- One row for each session that a process waits for, the one whose transaction is oldest first. $1 the process.
-- Process 0 stands for prepared transactions.
SELECT
  blocker.pid,
  COALESCE(activity.wait_event_type OPERATOR(pg_catalog.=) 'Lock', false) AS waits,
  activity.usename::pg_catalog.text AS role,
  activity.application_name AS application,
  pg_catalog.host(activity.client_addr) AS client,
  activity.backend_type AS kind,
  activity.state,
  activity.query,
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) activity.backend_start)::pg_catalog.float8 AS connected,
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) activity.xact_start)::pg_catalog.float8 AS transaction
FROM (
  SELECT DISTINCT pid
  FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::pg_catalog.int4)) AS blocking (pid)
) AS blocker
LEFT JOIN pg_catalog.pg_stat_activity AS activity
  ON activity.pid OPERATOR(pg_catalog.=) blocker.pid
ORDER BY activity.xact_start, blocker.pid
