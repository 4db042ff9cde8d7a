-- Message queues and their archives without row-level security that a role of requests ($1) reaches, one row each.
SELECT
  pg_catalog.format('%I.%I', n.nspname, c.relname),
  pg_catalog.array_agg(r.rolname::text ORDER BY r.rolname)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles AS r ON r.rolname = ANY ($1)
WHERE n.nspname = 'pgmq'
  AND c.relkind IN ('r', 'p')
  AND c.relname ~ '^[qa]_'
  AND NOT c.relrowsecurity
  AND pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
  AND pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
GROUP BY n.nspname, c.relname
ORDER BY n.nspname, c.relname
