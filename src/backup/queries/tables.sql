-- One row for each table or sequence a dump would read: its name, kind, and what could keep rows out of the dump.
SELECT
  n.nspname::pg_catalog.text AS schema,
  c.relname::pg_catalog.text AS name,
  c.relkind::pg_catalog.text AS kind,
  c.relpersistence::pg_catalog.text AS persistence,
  CASE WHEN c.relkind = 'S'
    THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
    ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS readable,
  c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid) AS filtered,
  CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END AS bytes,
  EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.objid = c.oid
      AND d.deptype = 'e'
  ) AS is_member,
  o.schema AS owner_schema,
  o.name AS owner_name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n
  ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
  SELECT
    tn.nspname::pg_catalog.text AS schema,
    t.relname::pg_catalog.text AS name
  FROM pg_catalog.pg_depend AS d
  JOIN pg_catalog.pg_class AS t
    ON t.oid = d.refobjid
  JOIN pg_catalog.pg_namespace AS tn
    ON tn.oid = t.relnamespace
  WHERE c.relkind = 'S'
    AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.objid = c.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.deptype IN ('a', 'i')
  LIMIT 1
) AS o
  ON true
WHERE c.relkind IN ('r', 'p', 'f', 'S', 'm')
  AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.objid = c.oid
      AND d.deptype = 'e'
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_extension AS e
        WHERE e.oid = d.refobjid AND c.oid = ANY (e.extconfig)
      )
  )
ORDER BY 1, 2
