-- the sessions that have held a lock on a relation to be changed for more than five seconds; $1 the relations
SELECT DISTINCT
  'warning' AS weight,
  relation.name AS object,
  format(
    'process %s of %s (%s) has held %s for up to %s',
    activity.pid,
    activity.usename,
    COALESCE(NULLIF(activity.application_name, ''), 'no application name'),
    held.mode,
    date_trunc('second', clock_timestamp() - activity.xact_start)
  ) AS words
FROM unnest($1::text[]) AS relation (name)
JOIN pg_catalog.pg_locks AS held
  ON held.relation = to_regclass(relation.name)
JOIN pg_catalog.pg_stat_activity AS activity
  ON activity.pid = held.pid
WHERE held.granted
  AND held.pid <> pg_backend_pid()
  AND activity.xact_start < clock_timestamp() - interval '5 seconds'
ORDER BY 2, 3
