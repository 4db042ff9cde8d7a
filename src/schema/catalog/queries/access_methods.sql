-- Access methods that no extension brought, one row each.
SELECT
  'access-method' AS kind,
  a.tableoid AS class,
  a.oid,
  a.amname::text AS name,
  CASE a.amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END AS type,
  a.amhandler::regproc::text AS handler
FROM pg_catalog.pg_am AS a
WHERE a.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = a.tableoid AND e.objid = a.oid AND e.deptype = 'e')
