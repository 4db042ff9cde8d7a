-- One row for each schema and table named that is not there.
SELECT
  'schema' AS kind,
  NULL::pg_catalog.text AS schema,
  s.name
FROM pg_catalog.unnest($1) AS s (name)
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_namespace AS n WHERE n.nspname = s.name
)
UNION ALL
SELECT
  'table' AS kind,
  t.schema,
  t.name
FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS t (schema, name)
WHERE NOT EXISTS (
  SELECT
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n
    ON n.oid = c.relnamespace
  WHERE n.nspname = t.schema
    AND c.relname = t.name
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
)
