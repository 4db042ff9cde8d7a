-- One row: the server's version, where its log stands, and what decides how values are printed.
SELECT
  pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version_num,
  CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text
    ELSE pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text END AS lsn,
  pg_catalog.pg_is_in_recovery() AS standby,
  pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS control,
  pg_catalog.current_setting('bytea_output') AS bytea_output,
  pg_catalog.current_setting('xmlbinary') AS xmlbinary,
  pg_catalog.current_setting('lc_monetary') AS lc_monetary
