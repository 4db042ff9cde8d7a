-- Every schema that is not the server's own: its oid and name.
SELECT
  n.oid,
  n.nspname::text AS name
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
ORDER BY n.nspname
