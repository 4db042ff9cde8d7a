-- Sequences that are not the machinery of an identity column, one row each.
SELECT
  'sequence' AS kind,
  c.tableoid AS class,
  c.oid,
  n.nspname::text AS schema,
  c.relname::text AS name,
  pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
  c.relacl::text[] AS acl,
  pg_catalog.format_type(q.seqtypid, NULL) AS type,
  CASE WHEN c.relpersistence = 'u' THEN 't' END AS unlogged,
  q.seqstart::text AS start,
  q.seqincrement::text AS increment,
  q.seqmin::text AS minimum,
  q.seqmax::text AS maximum,
  q.seqcache::text AS cache,
  CASE WHEN q.seqcycle THEN 't' END AS cycle
FROM pg_catalog.pg_sequence AS q
JOIN pg_catalog.pg_class AS c ON c.oid = q.seqrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relnamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = c.tableoid AND e.objid = c.oid AND e.deptype IN ('e', 'i'))
