-- Who may call functions, and as whom they act, one fact a row.
SELECT
    'f' AS kind,
    p.oid AS of,
    pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) AS object,
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
    SELECT 'it runs with its owner''s privileges', true WHERE p.prosecdef
    UNION ALL
    SELECT 'it runs with its owner''s privileges and any search_path', true
    WHERE p.prosecdef AND coalesce(pg_catalog.array_to_string(p.proconfig, ','), '') NOT LIKE '%search_path=%'
) AS f
WHERE p.oid {} AND n.nspname <> 'af_db_observer'
