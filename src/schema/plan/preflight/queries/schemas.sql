-- the governed schemas in which the role may not create anything; $2 the schemas
SELECT
  'warning' AS weight,
  namespace.nspname::text AS object,
  'the role has no CREATE privilege on this schema' AS words
FROM pg_catalog.pg_namespace AS namespace
WHERE namespace.nspname = ANY ($2::text[])
  AND NOT has_schema_privilege(namespace.oid, 'CREATE')
ORDER BY 2
