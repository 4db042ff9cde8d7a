-- Columns of tables, views and composite types in their order, one row each.
SELECT
  'column' AS kind,
  'pg_catalog.pg_class'::regclass::oid AS class,
  a.attrelid AS oid,
  a.attnum::int4 AS sub,
  CASE WHEN a.attgenerated <> '' THEN ARRAY['pg_catalog.pg_attrdef'::regclass::oid, d.oid] END AS aliases,
  n.nspname::text AS schema,
  c.relname::text AS name,
  a.attname::text AS part,
  a.attacl::text[] AS acl,
  pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
  CASE WHEN a.attnotnull THEN 't' END AS not_null,
  CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0 THEN (
    SELECT pg_catalog.format('%I.%I', ln.nspname, l.collname)
    FROM pg_catalog.pg_collation AS l
    JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace
    WHERE l.oid = a.attcollation
  ) END AS collation,
  CASE a.attgenerated WHEN 's' THEN 'STORED' WHEN 'v' THEN 'VIRTUAL' END AS generated,
  CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END AS expression,
  CASE WHEN a.attstorage <> t.typstorage AND c.relkind IN ('r', 'p', 'm', 'f') THEN
    CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END
  END AS storage,
  CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
  CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::text END AS statistics,
  a.attoptions AS options,
  CASE WHEN a.attfdwoptions IS NOT NULL THEN (
    SELECT pg_catalog.array_agg(o.option_name || '=' || o.option_value ORDER BY o.ordinality)
    FROM pg_catalog.pg_options_to_table(a.attfdwoptions) WITH ORDINALITY AS o
  ) END AS server_options,
  CASE WHEN a.attinhcount > 0 THEN CASE WHEN a.attislocal AND NOT c.relispartition THEN 'also' ELSE 't' END END AS inherited
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> ''
WHERE a.attnum > 0
  AND NOT a.attisdropped
  AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c')
  AND c.relnamespace = ANY ($1)
ORDER BY a.attrelid, a.attnum
