-- Permissive policies by which a role of requests ($1) reads the files of buckets, one row each, where buckets can be read.
SELECT
  p.polname::text,
  COALESCE(pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'false')
FROM pg_catalog.pg_policy AS p
WHERE p.polrelid = pg_catalog.to_regclass('storage.objects')
  AND p.polpermissive
  AND p.polcmd IN ('r', '*')
  AND (
    SELECT pg_catalog.count(*)
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = pg_catalog.to_regclass('storage.buckets')
      AND (a.attname, a.atttypid) IN (('id', 'text'::regtype), ('public', 'boolean'::regtype))
      AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
  ) = 2
  AND EXISTS (
    SELECT
    FROM pg_catalog.pg_roles AS r
    JOIN pg_catalog.unnest(p.polroles) AS o (oid) ON o.oid = 0 OR pg_catalog.pg_has_role(r.oid, o.oid, 'USAGE')
    WHERE r.rolname = ANY ($1)
      AND pg_catalog.has_table_privilege(r.oid, p.polrelid, 'SELECT')
  )
ORDER BY p.polname
