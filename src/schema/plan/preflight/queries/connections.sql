-- one row when few connections are left
SELECT
  CASE WHEN used.number >= allowed.number - 2 THEN 'blocking' ELSE 'warning' END AS weight,
  'connections' AS object,
  format('%s of %s connections are in use', used.number, allowed.number) AS words
FROM (SELECT count(*) AS number FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend') AS used
CROSS JOIN (
  SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS number
) AS allowed
WHERE used.number > allowed.number * 0.8
