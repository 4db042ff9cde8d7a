-- One row a role asked for and a user's function it may execute in a schema it may use.
SELECT
    r.name AS role,
    f.oid::int8 AS function
FROM pg_catalog.unnest($1::text[]) AS r (name)
CROSS JOIN pg_catalog.pg_proc f
JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
WHERE n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND f.prokind IN ('f', 'p')
  AND pg_catalog.has_schema_privilege(r.name, n.oid, 'USAGE')
  AND pg_catalog.has_function_privilege(r.name, f.oid, 'EXECUTE')
ORDER BY 1, 2
