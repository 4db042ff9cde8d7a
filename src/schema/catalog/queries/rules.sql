-- Rewrite rules other than those that make a view, one row each.
SELECT
  'rule' AS kind,
  r.tableoid AS class,
  r.oid,
  n.nspname::text AS schema,
  c.relname::text AS name,
  r.rulename::text AS part,
  pg_catalog.pg_get_ruledef(r.oid) AS definition,
  CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END AS enabled
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE r.rulename <> '_RETURN'
  AND c.relnamespace = ANY ($1)
