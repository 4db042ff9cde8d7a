-- the indexes being built now
SELECT
  'warning' AS weight,
  build.relid::regclass::text AS object,
  format('process %s is building an index (%s)', build.pid, build.phase) AS words
FROM pg_catalog.pg_stat_progress_create_index AS build
WHERE build.datname = current_database()
ORDER BY 2
