-- Extensions with the schema their objects lie in and the version the server would give today, one row each.
SELECT
  x.extname::text,
  n.nspname::text,
  x.extversion,
  a.default_version,
  x.extrelocatable
FROM pg_catalog.pg_extension AS x
JOIN pg_catalog.pg_namespace AS n ON n.oid = x.extnamespace
LEFT JOIN pg_catalog.pg_available_extensions AS a ON a.name = x.extname
ORDER BY x.extname
