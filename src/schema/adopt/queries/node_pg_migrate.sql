-- One row a migration that node-pg-migrate has run: name, no checksum, time, state.
SELECT
  name::text,
  NULL::text,
  pg_catalog.to_char(run_on, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'applied'
FROM {}
ORDER BY run_on, id
