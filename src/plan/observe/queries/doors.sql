-- Who may do what, one fact a row. `opens` tells whether the fact lets somebody do more; null for a fact that only
-- tells that the object is there.
-- Prepared, because it is asked after every statement about rights, and planning it takes ten times as long as running it.
PREPARE af_db_doors AS
SELECT
    pg_catalog.format('%I.%I', n.nspname, c.relname) AS object,
    pg_catalog.format('%s may %s%s', coalesce(r.rolname, 'PUBLIC'), a.privilege_type,
        CASE WHEN a.is_grantable THEN ' and pass it on' ELSE '' END) AS fact,
    true AS opens
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE c.oid >= 16384 AND c.relacl IS NOT NULL AND a.grantee <> c.relowner AND n.nspname <> 'af_db_observer'
UNION ALL
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), 'is a table', NULL
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relacl IS NOT NULL AND c.relkind NOT IN ('v', 'm') AND n.nspname <> 'af_db_observer'
UNION ALL
SELECT pg_catalog.format('schema %I', n.nspname), 'is a schema', NULL
FROM pg_catalog.pg_namespace AS n
WHERE n.nspacl IS NOT NULL AND n.nspname <> 'af_db_observer'
UNION ALL
SELECT
    pg_catalog.format('%I.%I.%I', n.nspname, c.relname, t.attname),
    pg_catalog.format('%s may %s', coalesce(r.rolname, 'PUBLIC'), a.privilege_type),
    true
FROM pg_catalog.pg_attribute AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE c.oid >= 16384 AND t.attacl IS NOT NULL AND a.grantee <> c.relowner
UNION ALL
SELECT
    pg_catalog.format('schema %I', n.nspname),
    pg_catalog.format('%s may %s', coalesce(r.rolname, 'PUBLIC'), a.privilege_type),
    true
FROM pg_catalog.pg_namespace AS n
CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE n.nspacl IS NOT NULL AND a.grantee <> n.nspowner AND n.nspname <> 'af_db_observer'
UNION ALL
SELECT
    pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
    f.fact,
    f.opens
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
CROSS JOIN LATERAL (
    SELECT 'is there' AS fact, NULL::boolean AS opens
    UNION ALL
    SELECT pg_catalog.format('%s may EXECUTE', coalesce(r.rolname, 'PUBLIC')), true
    FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS a
    LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
    WHERE a.grantee <> p.proowner
    UNION ALL
    SELECT 'it acts with the rights of its owner', true WHERE p.prosecdef
    UNION ALL
    SELECT 'it acts with the rights of its owner and any search_path', true
    WHERE p.prosecdef AND coalesce(pg_catalog.array_to_string(p.proconfig, ','), '') NOT LIKE '%search_path=%'
) AS f
WHERE p.oid >= 16384 AND n.nspname <> 'af_db_observer'
UNION ALL
SELECT
    pg_catalog.format('%I.%I', n.nspname, c.relname),
    f.fact,
    f.opens
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT 'is there' AS fact, NULL::boolean AS opens
    UNION ALL
    SELECT 'it reads with the rights of its owner', true
    WHERE c.relkind = 'v' AND NOT coalesce(c.reloptions, '{}') && '{security_invoker=true,security_invoker=on,security_invoker=1}'
) AS f
WHERE c.oid >= 16384 AND c.relkind IN ('v', 'm')
UNION ALL
SELECT
    pg_catalog.format('default privileges%s', ' in schema ' || pg_catalog.quote_ident(n.nspname)),
    pg_catalog.format('%s may %s %s that %s makes', coalesce(r.rolname, 'PUBLIC'), a.privilege_type,
        CASE d.defaclobjtype
            WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
            ELSE 'schemas'
        END,
        pg_catalog.pg_get_userbyid(d.defaclrole)),
    true
FROM pg_catalog.pg_default_acl AS d
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE a.grantee <> d.defaclrole
UNION ALL
SELECT
    pg_catalog.format('%I.%I', n.nspname, c.relname),
    pg_catalog.format('%s policy %I for %s to %s%s%s',
        CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
        p.polname,
        CASE p.polcmd
            WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL'
        END,
        (
            SELECT pg_catalog.string_agg(CASE WHEN role = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(role) END, ', ')
            FROM pg_catalog.unnest(p.polroles) AS role
        ),
        coalesce(' using ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid), ''),
        coalesce(' with check ' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), '')),
    p.polpermissive
FROM pg_catalog.pg_policy AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
UNION ALL
SELECT pg_catalog.format('role %I', r.rolname), f.fact, f.opens
FROM pg_catalog.pg_roles AS r
CROSS JOIN LATERAL (
    SELECT 'is there' AS fact, NULL::boolean AS opens
    UNION ALL
    SELECT 'it is a superuser', true WHERE r.rolsuper
    UNION ALL
    SELECT 'row-level security does not hold it', true WHERE r.rolbypassrls
    UNION ALL
    SELECT 'it may create roles', true WHERE r.rolcreaterole
    UNION ALL
    SELECT 'it may replicate', true WHERE r.rolreplication
    UNION ALL
    SELECT pg_catalog.format('it is a member of %I', pg_catalog.pg_get_userbyid(m.roleid)), true
    FROM pg_catalog.pg_auth_members AS m
    WHERE m.member = r.oid
) AS f
WHERE r.oid >= 16384
