-- One JSON document a policy, with the columns of its own table, the tables and the functions its expressions use.
SELECT pg_catalog.jsonb_build_object(
    'table', p.polrelid::int8,
    'name', p.polname,
    'command', p.polcmd::text,
    'permissive', p.polpermissive,
    'roles', (SELECT pg_catalog.jsonb_agg(CASE WHEN r.oid = 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(r.oid) END)
              FROM pg_catalog.unnest(p.polroles) AS r (oid)),
    'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
    'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
    'columns', (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT a.attname), '[]')
                FROM pg_catalog.pg_depend d
                JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
                  AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid > 0),
    'reads', (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT d.refobjid::int8), '[]')
              FROM pg_catalog.pg_depend d
              WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> p.polrelid),
    'calls', (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT d.refobjid::int8), '[]')
              FROM pg_catalog.pg_depend d
              WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
                AND d.refclassid = 'pg_catalog.pg_proc'::regclass)
) AS document
FROM pg_catalog.pg_policy p
ORDER BY p.polrelid, p.polname
