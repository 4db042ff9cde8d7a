-- Collations, one row each; columns that come and go with the server's version are read through JSON.
SELECT
  'collation' AS kind,
  l.tableoid AS class,
  l.oid,
  n.nspname::text AS schema,
  l.collname::text AS name,
  pg_catalog.pg_get_userbyid(l.collowner)::text AS owner,
  CASE l.collprovider WHEN 'i' THEN 'icu' WHEN 'c' THEN 'libc' WHEN 'b' THEN 'builtin' ELSE 'default' END AS provider,
  COALESCE(j.j ->> 'colllocale', j.j ->> 'colliculocale', CASE WHEN l.collprovider = 'i' THEN j.j ->> 'collcollate' END) AS locale,
  CASE WHEN l.collprovider = 'c' THEN j.j ->> 'collcollate' END AS lc_collate,
  CASE WHEN l.collprovider = 'c' THEN j.j ->> 'collctype' END AS lc_ctype,
  j.j ->> 'collicurules' AS rules,
  CASE WHEN NOT l.collisdeterministic THEN 't' END AS not_deterministic
FROM pg_catalog.pg_collation AS l
JOIN pg_catalog.pg_namespace AS n ON n.oid = l.collnamespace
CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(l) AS j) AS j
WHERE l.collnamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = l.tableoid AND e.objid = l.oid AND e.deptype = 'e')
