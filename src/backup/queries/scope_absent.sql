-- One row for each schema and table named that is not there.
SELECT
  'schema' AS kind,
  s.name
FROM pg_catalog.unnest($1) AS s (name)
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_namespace AS n WHERE n.nspname = s.name
)
UNION ALL
SELECT
  'table' AS kind,
  t.name
FROM pg_catalog.unnest($2) AS t (name)
WHERE NOT EXISTS (
  SELECT
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n
    ON n.oid = c.relnamespace
  WHERE n.nspname || '.' || c.relname = t.name
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
)
