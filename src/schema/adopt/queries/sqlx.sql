-- One row a migration that sqlx knows: version, SHA-384, time, state.
SELECT
  version::text,
  pg_catalog.encode(checksum, 'hex'),
  pg_catalog.to_char(installed_on AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  CASE WHEN success THEN 'applied' ELSE 'failed' END
FROM {}
ORDER BY version
