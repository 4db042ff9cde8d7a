-- one row: what is not there of $1 roles, $2 extensions, $3 schemas
SELECT
  ARRAY(
    SELECT wanted
    FROM pg_catalog.unnest($1) AS wanted
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname::pg_catalog.text OPERATOR(pg_catalog.=) wanted)
  )::pg_catalog.text[] AS roles,
  ARRAY(
    SELECT wanted
    FROM pg_catalog.unnest($2) AS wanted
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_available_extensions AS x WHERE x.name::pg_catalog.text OPERATOR(pg_catalog.=) wanted)
  )::pg_catalog.text[] AS extensions,
  ARRAY(
    SELECT wanted
    FROM pg_catalog.unnest($3) AS wanted
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace AS n WHERE n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) wanted)
  )::pg_catalog.text[] AS schemas
