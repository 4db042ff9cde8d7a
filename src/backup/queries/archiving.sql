-- One row: whether and how the log is archived, when it last went well, and whether it fails now.
SELECT
  pg_catalog.current_setting('archive_mode') <> 'off' AS is_on,
  coalesce(pg_catalog.current_setting('archive_command', true), '') AS command,
  pg_catalog.date_part('epoch', pg_catalog.now() - a.last_archived_time) AS archived,
  coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false) AS fails
FROM pg_catalog.pg_stat_archiver AS a
