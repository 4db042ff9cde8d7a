-- Defaults of columns that are not generated, one row each.
SELECT
  'default' AS kind,
  d.tableoid AS class,
  d.oid,
  n.nspname::text AS schema,
  c.relname::text AS name,
  a.attname::text AS part,
  pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS expression
FROM pg_catalog.pg_attrdef AS d
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
JOIN pg_catalog.pg_class AS c ON c.oid = d.adrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE a.attgenerated = ''
  AND NOT a.attisdropped
  AND c.relnamespace = ANY ($1)
