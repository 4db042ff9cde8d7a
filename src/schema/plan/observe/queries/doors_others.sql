-- Who may do what with schemas and with what will be made, and what roles may do, one fact a row.
SELECT
    'o' AS kind,
    0 AS of,
    pg_catalog.format('schema %I', n.nspname) AS object,
    pg_catalog.format('%s may %s', coalesce(r.rolname, 'PUBLIC'), a.privilege_type) AS fact,
    true AS opens
FROM pg_catalog.pg_namespace AS n
CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE n.nspacl IS NOT NULL AND a.grantee <> n.nspowner AND n.nspname <> 'af_db_observer'
UNION ALL
SELECT
    'o',
    0,
    pg_catalog.format('schema %I', n.nspname),
    'is a schema',
    NULL
FROM pg_catalog.pg_namespace AS n
WHERE n.nspacl IS NOT NULL AND n.nspname <> 'af_db_observer'
UNION ALL
SELECT
    'o',
    0,
    pg_catalog.format('default privileges%s', coalesce(' in schema ' || pg_catalog.quote_ident(n.nspname), '')),
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
SELECT 'o', 0, pg_catalog.format('role %I', r.rolname), f.fact, f.opens
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
