-- Operators, one row each; every part as CREATE OPERATOR spells it.
SELECT
  'operator' AS kind,
  o.tableoid AS class,
  o.oid,
  n.nspname::text AS schema,
  pg_catalog.format('%s (%s, %s)', o.oprname,
    CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE pg_catalog.format_type(o.oprleft, NULL) END,
    CASE WHEN o.oprright = 0 THEN 'NONE' ELSE pg_catalog.format_type(o.oprright, NULL) END) AS name,
  pg_catalog.pg_get_userbyid(o.oprowner)::text AS owner,
  o.oprname::text AS symbol,
  CASE WHEN o.oprcode = 0 THEN 't' END AS shell,
  o.oprcode::regproc::text AS function,
  CASE WHEN o.oprleft <> 0 THEN pg_catalog.format_type(o.oprleft, NULL) END AS left,
  CASE WHEN o.oprright <> 0 THEN pg_catalog.format_type(o.oprright, NULL) END AS right,
  (SELECT pg_catalog.format('OPERATOR(%I.%s)', xn.nspname, x.oprname)
    FROM pg_catalog.pg_operator AS x JOIN pg_catalog.pg_namespace AS xn ON xn.oid = x.oprnamespace WHERE x.oid = o.oprcom) AS commutator,
  (SELECT pg_catalog.format('OPERATOR(%I.%s)', xn.nspname, x.oprname)
    FROM pg_catalog.pg_operator AS x JOIN pg_catalog.pg_namespace AS xn ON xn.oid = x.oprnamespace WHERE x.oid = o.oprnegate) AS negator,
  NULLIF(o.oprrest::regproc::text, '-') AS restrict,
  NULLIF(o.oprjoin::regproc::text, '-') AS join,
  CASE WHEN o.oprcanhash THEN 't' END AS hashes,
  CASE WHEN o.oprcanmerge THEN 't' END AS merges
FROM pg_catalog.pg_operator AS o
JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
WHERE o.oprnamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = o.tableoid AND e.objid = o.oid AND e.deptype = 'e')
