-- Operator classes with their members, one row each.
SELECT
  'operator-class' AS kind,
  c.tableoid AS class,
  c.oid,
  -- What a member stands on, its owner stands on.
  ARRAY(
    SELECT x.o
    FROM pg_catalog.pg_depend AS d
    CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[d.classid, d.objid]) WITH ORDINALITY AS x (o, i)
    WHERE d.refclassid = c.tableoid
      AND d.refobjid = c.oid
      AND d.classid IN ('pg_catalog.pg_amop'::regclass, 'pg_catalog.pg_amproc'::regclass)
    ORDER BY d.classid, d.objid, x.i
  ) AS aliases,
  n.nspname::text AS schema,
  pg_catalog.format('%I USING %I', c.opcname, a.amname) AS name,
  pg_catalog.pg_get_userbyid(c.opcowner)::text AS owner,
  CASE WHEN c.opcdefault THEN 't' END AS default,
  pg_catalog.format_type(c.opcintype, NULL) AS for_type,
  CASE WHEN c.opckeytype <> 0 THEN pg_catalog.format_type(c.opckeytype, NULL) END AS storage,
  pg_catalog.format('%I.%I', fn.nspname, f.opfname) AS family,
  pg_catalog.array_cat(
    ARRAY(
      SELECT pg_catalog.format('OPERATOR %s %s', m.amopstrategy, m.amopopr::regoperator)
        || COALESCE((SELECT pg_catalog.format(' FOR ORDER BY %I.%I', sn.nspname, s.opfname)
          FROM pg_catalog.pg_opfamily AS s JOIN pg_catalog.pg_namespace AS sn ON sn.oid = s.opfnamespace WHERE s.oid = m.amopsortfamily), '')
      FROM pg_catalog.pg_amop AS m
      JOIN pg_catalog.pg_depend AS d ON d.classid = m.tableoid AND d.objid = m.oid AND d.refclassid = c.tableoid AND d.refobjid = c.oid
      ORDER BY m.amopstrategy
    ),
    ARRAY(
      SELECT pg_catalog.format('FUNCTION %s (%s, %s) %s', m.amprocnum, pg_catalog.format_type(m.amproclefttype, NULL), pg_catalog.format_type(m.amprocrighttype, NULL), m.amproc::regprocedure)
      FROM pg_catalog.pg_amproc AS m
      JOIN pg_catalog.pg_depend AS d ON d.classid = m.tableoid AND d.objid = m.oid AND d.refclassid = c.tableoid AND d.refobjid = c.oid
      ORDER BY m.amprocnum
    )
  ) AS members
FROM pg_catalog.pg_opclass AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.opcnamespace
JOIN pg_catalog.pg_am AS a ON a.oid = c.opcmethod
JOIN pg_catalog.pg_opfamily AS f ON f.oid = c.opcfamily
JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.opfnamespace
WHERE c.opcnamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = c.tableoid AND e.objid = c.oid AND e.deptype = 'e')
