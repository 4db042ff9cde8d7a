-- One row a table of one of the names $1: schema, name, columns with types in order.
SELECT
  n.nspname::text AS schema,
  c.relname::text AS name,
  pg_catalog.string_agg(a.attname::text || ' ' || pg_catalog.format_type(a.atttypid, NULL), ',' ORDER BY a.attnum) AS columns
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute AS a
  ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relname OPERATOR(pg_catalog.=) ANY ($1)
GROUP BY n.nspname, c.relname
ORDER BY 1, 2
