-- One JSON document a role that is not PostgreSQL's own, with every role it may become and every role whose rights it has.
SELECT pg_catalog.jsonb_build_object(
    'name', r.rolname,
    'superuser', r.rolsuper,
    'bypass', r.rolbypassrls,
    'login', r.rolcanlogin,
    'inherit', r.rolinherit,
    'createrole', r.rolcreaterole,
    'createdb', r.rolcreatedb,
    'replication', r.rolreplication,
    'connections', r.rolconnlimit,
    'becomes', (SELECT coalesce(pg_catalog.jsonb_agg(o.rolname ORDER BY o.rolname), '[]')
                FROM pg_catalog.pg_roles o
                WHERE o.oid <> r.oid AND NOT r.rolsuper AND pg_catalog.pg_has_role(r.oid, o.oid, 'MEMBER')),
    'has', (SELECT coalesce(pg_catalog.jsonb_agg(o.rolname ORDER BY o.rolname), '[]')
            FROM pg_catalog.pg_roles o
            WHERE o.oid <> r.oid AND NOT r.rolsuper AND pg_catalog.pg_has_role(r.oid, o.oid, 'USAGE')),
    'settings', (SELECT coalesce(pg_catalog.jsonb_agg(x.setting), '[]')
                 FROM pg_catalog.pg_db_role_setting s
                 CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS x (setting)
                 WHERE s.setrole = r.oid
                   AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())))
) AS document
FROM pg_catalog.pg_roles r
WHERE r.rolname !~ '^pg_'
ORDER BY r.rolname
