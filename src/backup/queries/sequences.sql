-- One row for each sequence, by schema and name in the order of their bytes.
SELECT
  n.nspname::pg_catalog.text COLLATE "C" AS schema,
  c.relname::pg_catalog.text COLLATE "C" AS name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n
  ON n.oid = c.relnamespace
WHERE c.relkind = 'S'
ORDER BY 1, 2
