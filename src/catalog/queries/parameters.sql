-- Privileges on configuration parameters, one row each (PostgreSQL 15 and later).
SELECT
  'parameter' AS kind,
  p.tableoid AS class,
  p.oid,
  p.parname::text AS name,
  p.paracl::text[] AS acl
FROM pg_catalog.pg_parameter_acl AS p
