-- One JSON document a trigger of the users or a rule that rewrites writes.
SELECT pg_catalog.jsonb_build_object(
    'table', g.tgrelid::int8, 'name', g.tgname, 'function', g.tgfoid::int8, 'definition', pg_catalog.pg_get_triggerdef(g.oid)
) AS document
FROM pg_catalog.pg_trigger g
WHERE NOT g.tgisinternal
UNION ALL
SELECT pg_catalog.jsonb_build_object(
    'table', w.ev_class::int8, 'name', w.rulename, 'function', 0, 'definition', pg_catalog.pg_get_ruledef(w.oid)
)
FROM pg_catalog.pg_rewrite w
JOIN pg_catalog.pg_class c ON c.oid = w.ev_class
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE w.rulename <> '_RETURN'
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
