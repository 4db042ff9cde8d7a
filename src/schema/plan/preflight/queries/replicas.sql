-- the replicas that do not keep up
SELECT
  'warning' AS weight,
  format('replica %s', COALESCE(NULLIF(replica.application_name, ''), host(replica.client_addr), replica.pid::text)) AS object,
  CASE
    WHEN replica.state <> 'streaming' THEN format('not streaming, state is %s', replica.state)
    ELSE format('replication lag %s', date_trunc('second', replica.replay_lag))
  END AS words
FROM pg_catalog.pg_stat_replication AS replica
WHERE replica.state <> 'streaming'
  OR replica.replay_lag > interval '10 seconds'
ORDER BY 2
