-- Partitions and the tables they are attached to, one row each.
SELECT
  'partition' AS kind,
  0::oid AS class,
  c.oid,
  n.nspname::text AS schema,
  c.relname::text AS name,
  i.inhparent AS relation,
  pg_catalog.format('%I.%I', pn.nspname, p.relname) AS parent,
  pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid
JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent
JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
WHERE c.relispartition
  AND c.relkind IN ('r', 'p', 'f')
  AND c.relnamespace = ANY ($1)
