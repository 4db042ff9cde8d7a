-- the tables of schemas that are not managed by Citus, one row each; $1 the schemas
SELECT pg_catalog.format('%I.%I', namespace.nspname, class.relname) AS name
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS namespace
  ON namespace.oid OPERATOR(pg_catalog.=) class.relnamespace
WHERE class.relkind IN ('r', 'p')
  AND namespace.nspname::pg_catalog.text OPERATOR(pg_catalog.=) ANY ($1)
  AND class.relname OPERATOR(pg_catalog.<>) 'refinery_schema_history'
  AND NOT EXISTS (
    SELECT
    FROM pg_catalog.pg_dist_partition AS dist
    WHERE dist.logicalrelid::pg_catalog.oid OPERATOR(pg_catalog.=) class.oid
  )
ORDER BY 1
