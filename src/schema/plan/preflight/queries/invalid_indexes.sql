-- the invalid indexes, by name
SELECT
  'warning' AS weight,
  index.indexrelid::regclass::text AS object,
  format('this index of %s is invalid: it is kept up to date and used by no query', index.indrelid::regclass) AS words
FROM pg_catalog.pg_index AS index
WHERE NOT index.indisvalid
ORDER BY 2
