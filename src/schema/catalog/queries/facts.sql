-- One row: the server, the database, who asks, and whether they may see everything.
SELECT
  pg_catalog.current_setting('server_version_num')::int4 AS version,
  pg_catalog.current_database()::text AS database,
  CURRENT_USER::text AS reader,
  r.rolsuper AS superuser,
  EXISTS (SELECT FROM pg_catalog.pg_roles AS p WHERE p.rolname = 'supabase_admin') AS supabase
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = CURRENT_USER
