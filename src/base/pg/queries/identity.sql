-- One row: which server, database and role this session has, and what it was set to before our own settings.
-- $1 the process id of the handshake, $2 and $3 names and values of our own settings: they are set only where no
-- proxy stands in between, for they would stay behind on a pooled connection and reach its next client.
-- The list is evaluated from left to right, so the settings read before `pinned` are those of the role.
SELECT
  pg_catalog.pg_backend_pid() AS backend_pid,
  pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version_num,
  pg_catalog.current_setting('server_version') AS version,
  pg_catalog.current_database()::pg_catalog.text AS database,
  database.oid AS database_oid,
  pg_catalog.pg_encoding_to_char(database.encoding)::pg_catalog.text AS encoding,
  role.rolname::pg_catalog.text AS role,
  SESSION_USER::pg_catalog.text AS session_role,
  role.rolsuper AS superuser,
  role.rolcreatedb AS create_database,
  role.rolcreaterole AS create_role,
  role.rolbypassrls AS bypass_rls,
  pg_catalog.pg_has_role(role.oid, 'pg_read_all_stats', 'USAGE') AS reads_all_stats,
  pg_catalog.pg_has_role(role.oid, 'pg_signal_backend', 'USAGE') AS signals_backends,
  pg_catalog.has_database_privilege(database.oid, 'CREATE') AS creates_schemas,
  pg_catalog.pg_is_in_recovery() AS in_recovery,
  pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool AS read_only,
  pg_catalog.current_setting('search_path') AS search_path,
  pg_catalog.current_setting('TimeZone') AS time_zone,
  pg_catalog.current_setting('statement_timeout') AS statement_timeout,
  pg_catalog.current_setting('lock_timeout') AS lock_timeout,
  pg_catalog.current_setting('deadlock_timeout') AS deadlock_timeout,
  pg_catalog.current_setting('max_connections')::pg_catalog.int4 AS max_connections,
  pg_catalog.current_setting('max_locks_per_transaction')::pg_catalog.int8
    * (
      pg_catalog.current_setting('max_connections')::pg_catalog.int8
      + pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int8
    ) AS locks,
  ARRAY(
    SELECT known.rolname::pg_catalog.text
    FROM pg_catalog.pg_roles AS known
    WHERE known.rolname OPERATOR(pg_catalog.=) ANY (
      ARRAY['supabase_admin', 'rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin', 'neon_superuser']::pg_catalog.name[]
    )
  ) AS platform_roles,
  (
    SELECT
      pg_catalog.has_schema_privilege(space.oid, 'USAGE')
        AND pg_catalog.has_table_privilege(relation.oid, 'SELECT')
        -- A view, or a policy, may leave rows out.
        AND relation.relkind OPERATOR(pg_catalog.=) 'r'
        AND NOT pg_catalog.row_security_active(relation.oid)
    FROM pg_catalog.pg_class AS relation
    INNER JOIN pg_catalog.pg_namespace AS space ON space.oid OPERATOR(pg_catalog.=) relation.relnamespace
    WHERE space.nspname OPERATOR(pg_catalog.=) 'af_db'
      AND relation.relname OPERATOR(pg_catalog.=) 'protection'
  ) AS reads_protection,
  (
    SELECT pg_catalog.count(pg_catalog.set_config(pin.name, pin.value, false))
    FROM ROWS FROM (pg_catalog.unnest($2::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.text[])) AS pin (name, value)
    WHERE pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) $1::pg_catalog.int4
  ) AS pinned,
  (
    SELECT pg_catalog.set_config(setting.name, '10s', false)
    FROM pg_catalog.pg_settings AS setting
    WHERE setting.name OPERATOR(pg_catalog.=) 'lock_timeout'
      AND setting.setting::pg_catalog.int8 BETWEEN 1 AND 9999
      AND pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) $1::pg_catalog.int4
  ) AS patient
FROM pg_catalog.pg_roles AS role
CROSS JOIN pg_catalog.pg_database AS database
WHERE role.rolname OPERATOR(pg_catalog.=) CURRENT_USER
  AND database.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
