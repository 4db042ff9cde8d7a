-- The database itself, one row: owner, grants, settings.
SELECT
  'database' AS kind,
  d.tableoid AS class,
  d.oid,
  ''::text AS name,
  pg_catalog.pg_get_userbyid(d.datdba)::text AS owner,
  d.datacl::text[] AS acl,
  CASE WHEN d.datconnlimit <> -1 THEN d.datconnlimit::text END AS connection_limit,
  (SELECT pg_catalog.array_agg(x ORDER BY x)
    FROM pg_catalog.pg_db_role_setting AS s, LATERAL pg_catalog.unnest(s.setconfig) AS x
    WHERE s.setdatabase = d.oid AND s.setrole = 0) AS settings,
  (SELECT pg_catalog.array_agg(pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(s.setrole)) || ' ' || x ORDER BY 1)
    FROM pg_catalog.pg_db_role_setting AS s, LATERAL pg_catalog.unnest(s.setconfig) AS x
    WHERE s.setdatabase = d.oid AND s.setrole <> 0) AS role_settings
FROM pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database()
