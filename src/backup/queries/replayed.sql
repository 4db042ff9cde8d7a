-- How far the log was replayed, and when the last transaction in it was committed: one row.
SELECT
  pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text AS lsn,
  pg_catalog.pg_last_xact_replay_timestamp()::pg_catalog.text AS last_commit
