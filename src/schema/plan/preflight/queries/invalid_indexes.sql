-- the invalid indexes, by name
SELECT
  'warning' AS weight,
  index.indexrelid::regclass::text AS object,
  format('index of %s is invalid: maintained by writes, but not used by queries', index.indrelid::regclass) AS words
FROM pg_catalog.pg_index AS index
WHERE NOT index.indisvalid
ORDER BY 2
