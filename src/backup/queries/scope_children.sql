-- One row for each table that is a partition or a child of one that is named, however far down.
WITH RECURSIVE below AS (
  SELECT
    i.inhrelid AS oid
  FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS t (schema, name)
  JOIN pg_catalog.pg_namespace AS n
    ON n.nspname = t.schema
  JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = n.oid
    AND c.relname = t.name
  JOIN pg_catalog.pg_inherits AS i
    ON i.inhparent = c.oid
  UNION
  SELECT
    i.inhrelid AS oid
  FROM below AS b
  JOIN pg_catalog.pg_inherits AS i
    ON i.inhparent = b.oid
)
SELECT
  n.nspname::pg_catalog.text AS schema,
  c.relname::pg_catalog.text AS name
FROM below AS b
JOIN pg_catalog.pg_class AS c
  ON c.oid = b.oid
JOIN pg_catalog.pg_namespace AS n
  ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f')
ORDER BY 1, 2
