-- One row a statement that makes the roles of this server and their memberships elsewhere; rank orders them.
SELECT 1 AS rank, r.rolname AS role, NULL AS other,
    pg_catalog.concat_ws(' ',
        CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
        CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
        CASE WHEN r.rolcanlogin THEN 'LOGIN' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END,
        CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END) AS words
FROM pg_catalog.pg_roles r
WHERE r.rolname !~ '^pg_'
UNION ALL
SELECT 2, pg_catalog.pg_get_userbyid(m.member), pg_catalog.pg_get_userbyid(m.roleid),
    CASE WHEN m.admin_option THEN 'WITH ADMIN OPTION' ELSE '' END
FROM pg_catalog.pg_auth_members m
WHERE pg_catalog.pg_get_userbyid(m.member) !~ '^pg_'
UNION ALL
SELECT 3, coalesce(r.rolname, ''), pg_catalog.split_part(x.setting, '=', 1), pg_catalog.substr(x.setting, pg_catalog.strpos(x.setting, '=') + 1)
FROM pg_catalog.pg_db_role_setting s
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS x (setting)
WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))
  AND (r.rolname !~ '^pg_' OR s.setrole = 0)
UNION ALL
SELECT 4, coalesce(pg_catalog.pg_get_userbyid(nullif(a.grantee, 0)), 'public'), NULL, a.privilege_type
FROM pg_catalog.pg_database d
CROSS JOIN LATERAL pg_catalog.aclexplode(d.datacl) AS a
WHERE d.datname = pg_catalog.current_database()
ORDER BY 1, 2, 3, 4
