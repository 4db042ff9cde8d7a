-- Foreign data wrappers, servers and user mappings, one row each; options come as name=value.
SELECT
  'foreign-data-wrapper' AS kind,
  w.tableoid AS class,
  w.oid,
  w.fdwname::text AS name,
  NULL::text AS part,
  pg_catalog.pg_get_userbyid(w.fdwowner)::text AS owner,
  w.fdwacl::text[] AS acl,
  CASE WHEN w.fdwhandler <> 0 THEN w.fdwhandler::regproc::text END AS handler,
  CASE WHEN w.fdwvalidator <> 0 THEN w.fdwvalidator::regproc::text END AS validator,
  NULL::text AS wrapper,
  NULL::text AS type,
  NULL::text AS version,
  (SELECT pg_catalog.array_agg(o.option_name || '=' || o.option_value ORDER BY o.ordinality)
    FROM pg_catalog.pg_options_to_table(w.fdwoptions) WITH ORDINALITY AS o) AS server_options
FROM pg_catalog.pg_foreign_data_wrapper AS w
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = w.tableoid AND e.objid = w.oid AND e.deptype = 'e')
UNION ALL
SELECT
  'server',
  s.tableoid,
  s.oid,
  s.srvname::text,
  NULL,
  pg_catalog.pg_get_userbyid(s.srvowner)::text,
  s.srvacl::text[],
  NULL,
  NULL,
  w.fdwname::text,
  s.srvtype,
  s.srvversion,
  (SELECT pg_catalog.array_agg(o.option_name || '=' || o.option_value ORDER BY o.ordinality)
    FROM pg_catalog.pg_options_to_table(s.srvoptions) WITH ORDINALITY AS o)
FROM pg_catalog.pg_foreign_server AS s
JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = s.tableoid AND e.objid = s.oid AND e.deptype = 'e')
UNION ALL
SELECT
  'user-mapping',
  'pg_catalog.pg_user_mapping'::regclass,
  u.umid,
  u.srvname::text,
  CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(u.usename) END,
  NULL,
  NULL,
  NULL,
  NULL,
  NULL,
  NULL,
  NULL,
  (SELECT pg_catalog.array_agg(
      o.option_name || '=' || CASE WHEN o.option_name ~* 'passw|secret|token|key|credential' THEN '(not read)' ELSE o.option_value END ORDER BY o.ordinality)
    FROM pg_catalog.pg_options_to_table(u.umoptions) WITH ORDINALITY AS o)
FROM pg_catalog.pg_user_mappings AS u
