-- Schemas in scope, one row each.
SELECT
  'schema' AS kind,
  n.tableoid AS class,
  n.oid,
  n.nspname::text AS name,
  pg_catalog.pg_get_userbyid(n.nspowner)::text AS owner,
  n.nspacl::text[] AS acl
FROM pg_catalog.pg_namespace AS n
WHERE n.oid = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = n.tableoid AND e.objid = n.oid AND e.deptype = 'e')
