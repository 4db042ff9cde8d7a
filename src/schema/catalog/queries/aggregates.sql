-- Aggregates, one row each; every part as CREATE AGGREGATE spells it.
SELECT
  'aggregate' AS kind,
  p.tableoid AS class,
  p.oid,
  n.nspname::text AS schema,
  pg_catalog.format('%I(%s)', p.proname, COALESCE(NULLIF(pg_catalog.pg_get_function_identity_arguments(p.oid), ''), '*')) AS name,
  pg_catalog.pg_get_userbyid(p.proowner)::text AS owner,
  p.proacl::text[] AS acl,
  pg_catalog.pg_get_function_arguments(p.oid) AS arguments,
  pg_catalog.pg_get_function_result(p.oid) AS returns,
  CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' END AS parallel,
  CASE a.aggkind WHEN 'h' THEN 't' END AS hypothetical,
  a.aggtransfn::regproc::text AS sfunc,
  pg_catalog.format_type(a.aggtranstype, NULL) AS stype,
  CASE WHEN a.aggtransspace <> 0 THEN a.aggtransspace::text END AS sspace,
  CASE WHEN a.aggfinalfn <> 0 THEN a.aggfinalfn::regproc::text END AS finalfunc,
  CASE WHEN a.aggfinalextra THEN 't' END AS finalfunc_extra,
  CASE WHEN a.aggfinalmodify <> CASE WHEN a.aggkind = 'n' THEN 'r' ELSE 'w' END THEN
    CASE a.aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END AS finalfunc_modify,
  CASE WHEN a.aggcombinefn <> 0 THEN a.aggcombinefn::regproc::text END AS combinefunc,
  CASE WHEN a.aggserialfn <> 0 THEN a.aggserialfn::regproc::text END AS serialfunc,
  CASE WHEN a.aggdeserialfn <> 0 THEN a.aggdeserialfn::regproc::text END AS deserialfunc,
  a.agginitval AS initcond,
  CASE WHEN a.aggmtransfn <> 0 THEN a.aggmtransfn::regproc::text END AS msfunc,
  CASE WHEN a.aggminvtransfn <> 0 THEN a.aggminvtransfn::regproc::text END AS minvfunc,
  CASE WHEN a.aggmtranstype <> 0 THEN pg_catalog.format_type(a.aggmtranstype, NULL) END AS mstype,
  CASE WHEN a.aggmtransspace <> 0 THEN a.aggmtransspace::text END AS msspace,
  CASE WHEN a.aggmfinalfn <> 0 THEN a.aggmfinalfn::regproc::text END AS mfinalfunc,
  CASE WHEN a.aggmfinalextra THEN 't' END AS mfinalfunc_extra,
  CASE WHEN a.aggmtransfn <> 0 AND a.aggmfinalmodify <> CASE WHEN a.aggkind = 'n' THEN 'r' ELSE 'w' END THEN
    CASE a.aggmfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END AS mfinalfunc_modify,
  a.aggminitval AS minitcond,
  CASE WHEN a.aggsortop <> 0 THEN (
    SELECT pg_catalog.format('OPERATOR(%I.%s)', sn.nspname, o.oprname)
    FROM pg_catalog.pg_operator AS o
    JOIN pg_catalog.pg_namespace AS sn ON sn.oid = o.oprnamespace
    WHERE o.oid = a.aggsortop
  ) END AS sortop
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_aggregate AS a ON a.aggfnoid = p.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.pronamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = p.tableoid AND e.objid = p.oid AND e.deptype = 'e')
