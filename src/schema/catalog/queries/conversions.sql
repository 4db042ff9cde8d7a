-- Conversions between encodings, one row each.
SELECT
  'conversion' AS kind,
  c.tableoid AS class,
  c.oid,
  n.nspname::text AS schema,
  c.conname::text AS name,
  pg_catalog.pg_get_userbyid(c.conowner)::text AS owner,
  CASE WHEN c.condefault THEN 't' END AS default,
  pg_catalog.pg_encoding_to_char(c.conforencoding)::text AS source,
  pg_catalog.pg_encoding_to_char(c.contoencoding)::text AS target,
  c.conproc::regproc::text AS function
FROM pg_catalog.pg_conversion AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.connamespace
WHERE c.connamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = c.tableoid AND e.objid = c.oid AND e.deptype = 'e')
