-- Functions, procedures and window functions, one row each.
SELECT
  CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind,
  p.tableoid AS class,
  p.oid,
  n.nspname::text AS schema,
  pg_catalog.format('%I(%s)', p.proname, pg_catalog.array_to_string(ARRAY(
    SELECT pg_catalog.format_type(a, NULL) FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY AS u (a, o) ORDER BY o), ', ')) AS name,
  pg_catalog.pg_get_userbyid(p.proowner)::text AS owner,
  p.proacl::text[] AS acl,
  pg_catalog.pg_get_function_arguments(p.oid) AS arguments,
  pg_catalog.pg_get_function_result(p.oid) AS returns,
  CASE WHEN p.prokind = 'w' THEN 't' END AS window,
  CASE WHEN p.prosecdef THEN 't' END AS security_definer,
  pg_catalog.pg_get_functiondef(p.oid) AS definition
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prokind IN ('f', 'p', 'w')
  AND p.pronamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = p.tableoid AND e.objid = p.oid AND e.deptype IN ('e', 'i'))
