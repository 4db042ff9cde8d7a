-- one row when the write-ahead log is not being archived although it should
SELECT
  'warning' AS weight,
  'archiver' AS object,
  format('archiving has failed since %s, at %s', date_trunc('second', archiver.last_failed_time), archiver.last_failed_wal) AS words
FROM pg_catalog.pg_stat_archiver AS archiver
WHERE current_setting('archive_mode') <> 'off'
  AND archiver.last_failed_time > COALESCE(archiver.last_archived_time, '-infinity')
