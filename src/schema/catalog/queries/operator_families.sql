-- Operator families with the members that belong to no class, one row each.
SELECT
  'operator-family' AS kind,
  f.tableoid AS class,
  f.oid,
  -- What a member stands on, its owner stands on.
  ARRAY(
    SELECT x.o
    FROM pg_catalog.pg_depend AS d
    CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[d.classid, d.objid]) WITH ORDINALITY AS x (o, i)
    WHERE d.refclassid = f.tableoid
      AND d.refobjid = f.oid
      AND d.classid IN ('pg_catalog.pg_amop'::regclass, 'pg_catalog.pg_amproc'::regclass)
    ORDER BY d.classid, d.objid, x.i
  ) AS aliases,
  n.nspname::text AS schema,
  pg_catalog.format('%I USING %I', f.opfname, a.amname) AS name,
  pg_catalog.pg_get_userbyid(f.opfowner)::text AS owner,
  pg_catalog.array_cat(
    ARRAY(
      SELECT pg_catalog.format('OPERATOR %s %s', m.amopstrategy, m.amopopr::regoperator)
        || COALESCE((SELECT pg_catalog.format(' FOR ORDER BY %I.%I', sn.nspname, s.opfname)
          FROM pg_catalog.pg_opfamily AS s JOIN pg_catalog.pg_namespace AS sn ON sn.oid = s.opfnamespace WHERE s.oid = m.amopsortfamily), '')
      FROM pg_catalog.pg_amop AS m
      JOIN pg_catalog.pg_depend AS d ON d.classid = m.tableoid AND d.objid = m.oid AND d.refclassid = f.tableoid AND d.refobjid = f.oid
      ORDER BY m.amopstrategy, m.amopopr::regoperator::text
    ),
    ARRAY(
      SELECT pg_catalog.format('FUNCTION %s (%s, %s) %s', m.amprocnum, pg_catalog.format_type(m.amproclefttype, NULL), pg_catalog.format_type(m.amprocrighttype, NULL), m.amproc::regprocedure)
      FROM pg_catalog.pg_amproc AS m
      JOIN pg_catalog.pg_depend AS d ON d.classid = m.tableoid AND d.objid = m.oid AND d.refclassid = f.tableoid AND d.refobjid = f.oid
      ORDER BY m.amprocnum, m.amproc::regprocedure::text
    )
  ) AS members
FROM pg_catalog.pg_opfamily AS f
JOIN pg_catalog.pg_namespace AS n ON n.oid = f.opfnamespace
JOIN pg_catalog.pg_am AS a ON a.oid = f.opfmethod
WHERE f.opfnamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = f.tableoid AND e.objid = f.oid AND e.deptype = 'e')
