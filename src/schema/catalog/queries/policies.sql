-- Policies, one row each, those on the platform's tables among them.
SELECT
  'policy' AS kind,
  p.tableoid AS class,
  p.oid,
  n.nspname::text AS schema,
  c.relname::text AS name,
  p.polname::text AS part,
  CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command,
  CASE WHEN NOT p.polpermissive THEN 't' END AS restrictive,
  ARRAY(
    SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r)) END
    FROM pg_catalog.unnest(p.polroles) AS r
    ORDER BY 1
  )::text[] AS roles,
  pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS using,
  pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS with_check
FROM pg_catalog.pg_policy AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relnamespace = ANY ($2)
