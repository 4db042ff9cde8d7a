-- Operator families and classes with their members, one row each; a family has those that belong to no class.
SELECT
  o.kind,
  o.class,
  o.oid,
  -- What a member depends on, its family or class depends on.
  ARRAY(
    SELECT x.o
    FROM pg_catalog.pg_depend AS d
    CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[d.classid, d.objid]) WITH ORDINALITY AS x (o, i)
    WHERE d.refclassid = o.class
      AND d.refobjid = o.oid
      AND d.classid IN ('pg_catalog.pg_amop'::regclass, 'pg_catalog.pg_amproc'::regclass)
    ORDER BY d.classid, d.objid, x.i
  ) AS aliases,
  n.nspname::text AS schema,
  pg_catalog.format('%I USING %I', o.name, a.amname) AS name,
  pg_catalog.pg_get_userbyid(o.owner)::text AS owner,
  o.is_default AS default,
  o.for_type,
  o.storage,
  o.family,
  pg_catalog.array_cat(
    ARRAY(
      SELECT pg_catalog.format('OPERATOR %s %s', m.amopstrategy, m.amopopr::regoperator)
        || COALESCE((SELECT pg_catalog.format(' FOR ORDER BY %I.%I', sn.nspname, s.opfname)
          FROM pg_catalog.pg_opfamily AS s JOIN pg_catalog.pg_namespace AS sn ON sn.oid = s.opfnamespace WHERE s.oid = m.amopsortfamily), '')
      FROM pg_catalog.pg_amop AS m
      JOIN pg_catalog.pg_depend AS d ON d.classid = m.tableoid AND d.objid = m.oid AND d.refclassid = o.class AND d.refobjid = o.oid
      ORDER BY m.amopstrategy, m.amopopr::regoperator::text
    ),
    ARRAY(
      SELECT pg_catalog.format('FUNCTION %s (%s, %s) %s', m.amprocnum, pg_catalog.format_type(m.amproclefttype, NULL), pg_catalog.format_type(m.amprocrighttype, NULL), m.amproc::regprocedure)
      FROM pg_catalog.pg_amproc AS m
      JOIN pg_catalog.pg_depend AS d ON d.classid = m.tableoid AND d.objid = m.oid AND d.refclassid = o.class AND d.refobjid = o.oid
      ORDER BY m.amprocnum, m.amproc::regprocedure::text
    )
  ) AS members
FROM (
  SELECT 'operator-family' AS kind, f.tableoid AS class, f.oid, f.opfname AS name, f.opfnamespace AS namespace, f.opfmethod AS method, f.opfowner AS owner,
    NULL AS is_default, NULL AS for_type, NULL AS storage, NULL AS family
  FROM pg_catalog.pg_opfamily AS f
  UNION ALL
  SELECT 'operator-class', c.tableoid, c.oid, c.opcname, c.opcnamespace, c.opcmethod, c.opcowner,
    CASE WHEN c.opcdefault THEN 't' END,
    pg_catalog.format_type(c.opcintype, NULL),
    CASE WHEN c.opckeytype <> 0 THEN pg_catalog.format_type(c.opckeytype, NULL) END,
    pg_catalog.format('%I.%I', fn.nspname, f.opfname)
  FROM pg_catalog.pg_opclass AS c
  JOIN pg_catalog.pg_opfamily AS f ON f.oid = c.opcfamily
  JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.opfnamespace
) AS o
JOIN pg_catalog.pg_namespace AS n ON n.oid = o.namespace
JOIN pg_catalog.pg_am AS a ON a.oid = o.method
WHERE o.namespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = o.class AND e.objid = o.oid AND e.deptype = 'e')
