-- Roles with their attributes, memberships and settings, one row each; never a password.
SELECT
  'role' AS kind,
  'pg_catalog.pg_authid'::regclass::oid AS class,
  r.oid,
  r.rolname::text AS name,
  CASE WHEN r.rolsuper THEN 't' END AS superuser,
  CASE WHEN NOT r.rolinherit THEN 't' END AS no_inherit,
  CASE WHEN r.rolcreaterole THEN 't' END AS create_role,
  CASE WHEN r.rolcreatedb THEN 't' END AS create_database,
  CASE WHEN r.rolcanlogin THEN 't' END AS login,
  CASE WHEN r.rolreplication THEN 't' END AS replication,
  CASE WHEN r.rolbypassrls THEN 't' END AS bypass_rls,
  CASE WHEN r.rolconnlimit <> -1 THEN r.rolconnlimit::text END AS connection_limit,
  r.rolvaliduntil::text AS valid_until,
  (SELECT pg_catalog.array_agg(
      pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.roleid)) || CASE WHEN m.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END ORDER BY 1)
    FROM pg_catalog.pg_auth_members AS m WHERE m.member = r.oid) AS member_of,
  (SELECT pg_catalog.array_agg(x ORDER BY x)
    FROM pg_catalog.pg_db_role_setting AS s, LATERAL pg_catalog.unnest(s.setconfig) AS x
    WHERE s.setrole = r.oid AND s.setdatabase = 0) AS settings
FROM pg_catalog.pg_roles AS r
WHERE r.rolname !~ '^pg_'
