-- Identity columns with the options of their sequences, one row each.
SELECT
  'identity' AS kind,
  'pg_catalog.pg_class'::regclass::oid AS class,
  q.seqrelid AS oid,
  n.nspname::text AS schema,
  c.relname::text AS name,
  a.attname::text AS part,
  pg_catalog.pg_get_userbyid(s.relowner)::text AS owner,
  s.relacl::text[] AS acl,
  CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END AS generated,
  pg_catalog.format('%I.%I', sn.nspname, s.relname) AS sequence,
  q.seqstart::text AS start,
  q.seqincrement::text AS increment,
  q.seqmin::text AS minimum,
  q.seqmax::text AS maximum,
  q.seqcache::text AS cache,
  CASE WHEN q.seqcycle THEN 't' END AS cycle
FROM pg_catalog.pg_sequence AS q
JOIN pg_catalog.pg_class AS s ON s.oid = q.seqrelid
JOIN pg_catalog.pg_namespace AS sn ON sn.oid = s.relnamespace
JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = q.seqrelid AND d.deptype = 'i' AND d.refobjsubid > 0
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE a.attidentity <> ''
  AND c.relnamespace = ANY ($1)
