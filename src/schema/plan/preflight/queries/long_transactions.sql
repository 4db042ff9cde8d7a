-- the sessions whose transaction is older than five minutes, the oldest first
SELECT
  'warning' AS weight,
  format('process %s', activity.pid) AS object,
  format(
    '%s (%s) has had a transaction open for %s and is %s',
    activity.usename,
    COALESCE(NULLIF(activity.application_name, ''), 'no application name'),
    date_trunc('second', clock_timestamp() - activity.xact_start),
    activity.state
  ) AS words
FROM pg_catalog.pg_stat_activity AS activity
WHERE activity.backend_type = 'client backend'
  AND activity.pid <> pg_backend_pid()
  AND activity.xact_start < clock_timestamp() - interval '5 minutes'
ORDER BY activity.xact_start
