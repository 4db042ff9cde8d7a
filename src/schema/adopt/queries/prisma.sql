-- One row a run of a migration that Prisma records: name, SHA-256, time, state; a run that was rolled back is over.
SELECT
  migration_name::text,
  checksum::text,
  pg_catalog.to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  CASE
    WHEN rolled_back_at IS NOT NULL THEN 'reverted'
    WHEN finished_at IS NULL THEN 'failed'
    ELSE 'applied'
  END
FROM {}
ORDER BY started_at, migration_name
