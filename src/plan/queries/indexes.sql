-- the indexes of table $1 with the name $2, or without one its invalid indexes: schema, name, whether it is valid
SELECT
  n.nspname::pg_catalog.text,
  c.relname::pg_catalog.text,
  i.indisvalid
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indrelid = pg_catalog.to_regclass($1)
  AND (c.relname::pg_catalog.text = $2 OR ($2 IS NULL AND NOT i.indisvalid))
