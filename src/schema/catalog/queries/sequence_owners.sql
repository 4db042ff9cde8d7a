-- Sequences owned by a column, one row each.
SELECT
  'sequence-owner' AS kind,
  0::oid AS class,
  c.oid,
  n.nspname::text AS schema,
  c.relname::text AS name,
  a.attrelid AS relation,
  pg_catalog.format('%I.%I.%I', tn.nspname, t.relname, a.attname) AS column
FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
JOIN pg_catalog.pg_class AS t ON t.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
WHERE d.classid = 'pg_catalog.pg_class'::regclass
  AND d.refclassid = 'pg_catalog.pg_class'::regclass
  AND d.refobjsubid > 0
  AND d.deptype = 'a'
  AND c.relnamespace = ANY ($1)
