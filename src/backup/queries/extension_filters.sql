-- One row for each table of an extension whose rows belong to its user: the condition that selects them.
SELECT
  n.nspname::pg_catalog.text AS schema,
  c.relname::pg_catalog.text AS name,
  coalesce(e.extcondition[f.position], '') AS condition
FROM pg_catalog.pg_extension AS e
CROSS JOIN pg_catalog.unnest(e.extconfig) WITH ORDINALITY AS f (oid, position)
JOIN pg_catalog.pg_class AS c
  ON c.oid = f.oid
JOIN pg_catalog.pg_namespace AS n
  ON n.oid = c.relnamespace
WHERE e.extcondition[f.position] <> ''
