-- the relations to be changed that are being vacuumed; $1 the relations
SELECT
  CASE WHEN activity.query LIKE '%to prevent wraparound%' THEN 'blocking' ELSE 'warning' END AS weight,
  relation.name AS object,
  CASE
    WHEN activity.query LIKE '%to prevent wraparound%' THEN 'an anti-wraparound vacuum is running and does not yield to other sessions'
    WHEN activity.backend_type = 'autovacuum worker' THEN 'an autovacuum is running and yields after one second'
    ELSE format('process %s is running VACUUM', activity.pid)
  END AS words
FROM unnest($1::text[]) AS relation (name)
JOIN pg_catalog.pg_stat_progress_vacuum AS vacuum
  ON vacuum.relid = to_regclass(relation.name)
JOIN pg_catalog.pg_stat_activity AS activity
  ON activity.pid = vacuum.pid
ORDER BY 2
