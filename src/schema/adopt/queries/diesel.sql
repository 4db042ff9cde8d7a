-- One row a migration that diesel has applied: version, no checksum, time, state.
SELECT
  version::text,
  NULL::text,
  pg_catalog.to_char(run_on, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'applied'
FROM {}
ORDER BY version
