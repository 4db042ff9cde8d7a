-- Privileges on configuration parameters, one row each (PostgreSQL 15 and later).
SELECT
  'parameter' AS kind,
  p.tableoid AS class,
  p.oid,
  p.parname::text AS name,
  pg_catalog.pg_get_userbyid(10)::text AS owner,
  p.paracl::text[] AS acl
FROM pg_catalog.pg_parameter_acl AS p
