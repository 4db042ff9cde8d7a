-- what the pending steps need and the role lacks; $1 the schemas they create in, empty for the first of the search path,
-- $2 whether they create schemas or extensions, $3 whether they create roles, $4 the tables whose rows they write
SELECT lacking.weight, lacking.object, lacking.words
FROM (
  SELECT DISTINCT
    'blocking' AS weight,
    namespace.nspname::pg_catalog.text AS object,
    'the role has no CREATE privilege on this schema, which the pending steps need' AS words
  FROM pg_catalog.unnest($1) AS needed (name)
  JOIN pg_catalog.pg_namespace AS namespace
    ON namespace.nspname OPERATOR(pg_catalog.=) COALESCE(NULLIF(needed.name, ''), (pg_catalog.current_schemas(false))[1], 'public')
  WHERE NOT pg_catalog.has_schema_privilege(namespace.oid, 'CREATE')
  UNION ALL
  SELECT 'blocking', pg_catalog.current_database()::pg_catalog.text,
    'the role has no CREATE privilege on the database, which the pending steps need to create a schema or an extension'
  WHERE $2 AND NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
  UNION ALL
  SELECT 'blocking', CURRENT_USER::pg_catalog.text, 'the role has no CREATEROLE attribute, which the pending steps need'
  FROM pg_catalog.pg_roles AS r
  WHERE $3 AND r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND NOT r.rolsuper AND NOT r.rolcreaterole
  UNION ALL
  -- a policy that lets the role in may hide rows on purpose, none at all hides every row
  SELECT
    CASE WHEN EXISTS (
      SELECT
      FROM pg_catalog.pg_policy AS p
      CROSS JOIN pg_catalog.unnest(p.polroles) AS to_role (oid)
      WHERE p.polrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(written.name)::pg_catalog.oid
        AND p.polpermissive
        AND (to_role.oid OPERATOR(pg_catalog.=) 0 OR pg_catalog.pg_has_role(to_role.oid, 'USAGE'))
    ) THEN 'warning' ELSE 'blocking' END,
    written.name,
    'the pending steps write rows, and row-level security hides rows from the role (no BYPASSRLS)'
  FROM pg_catalog.unnest($4) AS written (name)
  WHERE pg_catalog.to_regclass(written.name) IS NOT NULL
    AND pg_catalog.row_security_active(pg_catalog.to_regclass(written.name)::pg_catalog.oid)
) AS lacking
ORDER BY 2, 3
