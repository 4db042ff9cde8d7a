-- one row when nothing can be written here
SELECT
  'blocking' AS weight,
  current_database()::text AS object,
  CASE WHEN pg_is_in_recovery() THEN 'the server is a replica' ELSE 'transactions of this role are read-only' END AS words
WHERE pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean
