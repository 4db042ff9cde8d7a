-- Extensions, one row each; their members belong to them and are not read.
SELECT
  'extension' AS kind,
  x.tableoid AS class,
  x.oid,
  x.extname::text AS name,
  n.nspname::text AS in_schema,
  x.extversion::text AS version
FROM pg_catalog.pg_extension AS x
JOIN pg_catalog.pg_namespace AS n ON n.oid = x.extnamespace
