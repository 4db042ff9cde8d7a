-- Tables whose row-level security is enabled or forced, one row each; of the platform's those that users write policies for.
SELECT
  'row-security' AS kind,
  0::oid AS class,
  c.oid,
  n.nspname::text AS schema,
  c.relname::text AS name,
  CASE WHEN c.relrowsecurity THEN 't' END AS enabled,
  CASE WHEN c.relforcerowsecurity THEN 't' END AS forced
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND (c.relrowsecurity OR c.relforcerowsecurity)
  AND (
    c.relnamespace = ANY ($1)
    OR c.relnamespace = ANY ($2)
      AND (n.nspname, c.relname) IN (('storage', 'objects'), ('storage', 'buckets'), ('realtime', 'messages'))
  )
