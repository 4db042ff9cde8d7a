-- Who may do what with relations, one fact a row. `opens` tells whether the fact lets somebody do more; null for a fact
-- that only tells that the object is there.
SELECT
    'r' AS kind,
    c.oid AS of,
    pg_catalog.format('%I.%I', n.nspname, c.relname) AS object,
    pg_catalog.format('%s may %s%s', coalesce(r.rolname, 'PUBLIC'), a.privilege_type,
        CASE WHEN a.is_grantable THEN ' and pass it on' ELSE '' END) AS fact,
    true AS opens
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE c.oid {} AND c.relacl IS NOT NULL AND a.grantee <> c.relowner AND n.nspname <> 'af_db_observer'
UNION ALL
SELECT
    'r',
    c.oid,
    pg_catalog.format('%I.%I', n.nspname, c.relname),
    'is a table',
    NULL
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid {} AND c.relacl IS NOT NULL AND c.relkind NOT IN ('v', 'm') AND n.nspname <> 'af_db_observer'
UNION ALL
SELECT
    'r',
    c.oid,
    pg_catalog.format('%I.%I.%I', n.nspname, c.relname, t.attname),
    pg_catalog.format('%s may %s', coalesce(r.rolname, 'PUBLIC'), a.privilege_type),
    true
FROM pg_catalog.pg_attribute AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE t.attrelid {} AND t.attacl IS NOT NULL AND a.grantee <> c.relowner AND n.nspname <> 'af_db_observer'
UNION ALL
SELECT
    'r',
    c.oid,
    pg_catalog.format('%I.%I', n.nspname, c.relname),
    f.fact,
    f.opens
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT 'is there' AS fact, NULL::boolean AS opens
    UNION ALL
    SELECT 'it reads with its owner''s privileges', true
    WHERE c.relkind = 'v' AND NOT coalesce(c.reloptions, ARRAY[]::pg_catalog.text[]) && '{security_invoker=true,security_invoker=on,security_invoker=1}'
) AS f
WHERE c.oid {} AND c.relkind IN ('v', 'm')
UNION ALL
SELECT
    'r',
    c.oid,
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
WHERE p.polrelid {}
