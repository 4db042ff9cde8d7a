-- One row a version, or repeatable file, by its newest row in Flyway's history: version, CRC32, time, state.
SELECT DISTINCT ON (COALESCE(version, 'R:' || description))
  COALESCE(version, 'R:' || description)::text,
  checksum::text,
  pg_catalog.to_char(installed_on, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  CASE
    WHEN NOT success THEN 'failed'
    WHEN type IN ('UNDO_SQL', 'UNDO_SPRING_JDBC', 'UNDO_JDBC', 'DELETE') THEN 'reverted'
    WHEN type IN ('BASELINE', 'SCHEMA') THEN CASE WHEN version IS NULL THEN 'reverted' ELSE 'up-to' END
    ELSE 'applied'
  END
FROM {}
WHERE type NOT IN ('SCHEMA')
ORDER BY COALESCE(version, 'R:' || description), installed_rank DESC
