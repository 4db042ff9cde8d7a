-- Procedural languages that no extension brought, one row each.
SELECT
  'language' AS kind,
  l.tableoid AS class,
  l.oid,
  l.lanname::text AS name,
  pg_catalog.pg_get_userbyid(l.lanowner)::text AS owner,
  l.lanacl::text[] AS acl,
  CASE WHEN l.lanpltrusted THEN 't' END AS trusted,
  l.lanplcallfoid::regproc::text AS handler,
  CASE WHEN l.laninline <> 0 THEN l.laninline::regproc::text END AS inline,
  CASE WHEN l.lanvalidator <> 0 THEN l.lanvalidator::regproc::text END AS validator
FROM pg_catalog.pg_language AS l
WHERE l.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = l.tableoid AND e.objid = l.oid AND e.deptype = 'e')
