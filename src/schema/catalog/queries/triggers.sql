-- Triggers, one row each; on the platform's tables only those that call a function in scope.
SELECT
  'trigger' AS kind,
  t.tableoid AS class,
  t.oid,
  CASE WHEN t.tgconstraint <> 0 THEN ARRAY['pg_catalog.pg_constraint'::regclass::oid, t.tgconstraint] END AS aliases,
  n.nspname::text AS schema,
  c.relname::text AS name,
  t.tgname::text AS part,
  pg_catalog.pg_get_triggerdef(t.oid) AS definition,
  CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END AS enabled,
  CASE WHEN t.tgconstraint <> 0 THEN 't' END AS constraint,
  CASE WHEN t.tgparentid <> 0 THEN 't' END AS inherited
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
LEFT JOIN pg_catalog.pg_trigger AS u ON u.oid = t.tgparentid
WHERE NOT t.tgisinternal
  AND (t.tgparentid = 0 OR t.tgenabled <> u.tgenabled)
  AND c.relnamespace = ANY ($2)
  AND (c.relnamespace = ANY ($1) OR p.pronamespace = ANY ($1))
