-- One row a committed migration that is applied: file, hash, time, state.
SELECT
  filename::text,
  hash::text,
  pg_catalog.to_char(date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'applied'
FROM {}
ORDER BY filename
