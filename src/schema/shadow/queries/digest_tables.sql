-- the user's tables that hold rows of their own: schema and name
SELECT
  n.nspname::pg_catalog.text,
  c.relname::pg_catalog.text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'af_db', 'auth', 'storage')
  AND n.nspname NOT LIKE 'pg\_%'
ORDER BY 1, 2
