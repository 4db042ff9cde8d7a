-- One row a change that Sqitch has deployed: name, SHA-1, time, state; a change deployed again after a rework is counted.
SELECT
  change || CASE
    WHEN pg_catalog.row_number() OVER again OPERATOR(pg_catalog.>) 1 THEN '#' || pg_catalog.row_number() OVER again
    ELSE ''
  END,
  script_hash::text,
  pg_catalog.to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'applied'
FROM {}
WINDOW again AS (PARTITION BY project, change ORDER BY committed_at)
ORDER BY committed_at
