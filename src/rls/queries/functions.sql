-- One JSON document a function or procedure of the users, aggregates and extension members left out.
SELECT pg_catalog.jsonb_build_object(
    'oid', f.oid::int8,
    'schema', n.nspname,
    'name', f.proname,
    'identity', pg_catalog.pg_get_function_identity_arguments(f.oid),
    'kind', f.prokind::text,
    'definer', f.prosecdef,
    'leakproof', f.proleakproof,
    'volatility', f.provolatile::text,
    'owner', pg_catalog.pg_get_userbyid(f.proowner),
    'settings', coalesce(pg_catalog.to_jsonb(f.proconfig), '[]'),
    'language', l.lanname,
    'source', coalesce(pg_catalog.pg_get_function_sqlbody(f.oid), f.prosrc),
    'result', pg_catalog.pg_get_function_result(f.oid),
    'result-kind', r.typname,
    'set', f.proretset,
    'defaults', f.pronargdefaults,
    'arguments', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'name', coalesce(f.proargnames[u.place], ''),
            'type', pg_catalog.format_type(u.type, NULL),
            'base', b.typname,
            'kind', b.typtype::text,
            'relation', nullif(b.typrelid, 0)::int8,
            'labels', (SELECT pg_catalog.jsonb_agg(e.enumlabel ORDER BY e.enumsortorder)
                       FROM pg_catalog.pg_enum e WHERE e.enumtypid IN (b.oid, CASE WHEN b.typcategory = 'A' THEN b.typelem END))
        ) ORDER BY u.place), '[]')
        FROM pg_catalog.unnest(coalesce(f.proallargtypes, f.proargtypes::oid[])) WITH ORDINALITY AS u (type, place)
        JOIN pg_catalog.pg_type t ON t.oid = u.type
        JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
        WHERE coalesce(f.proargmodes[u.place]::text, 'i') IN ('i', 'b', 'v'))
) AS document
FROM pg_catalog.pg_proc f
JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = f.prolang
JOIN pg_catalog.pg_type r ON r.oid = f.prorettype
WHERE f.prokind IN ('f', 'p')
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                  WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = f.oid AND e.deptype = 'e')
ORDER BY n.nspname, f.proname, f.oid
