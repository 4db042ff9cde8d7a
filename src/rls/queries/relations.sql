-- One JSON document a relation of the users: tables, partitioned tables, views, materialized views, foreign tables, sequences.
SELECT pg_catalog.jsonb_build_object(
    'oid', c.oid::int8,
    'schema', n.nspname,
    'name', c.relname,
    'kind', c.relkind::text,
    'owner', pg_catalog.pg_get_userbyid(c.relowner),
    'protected', c.relrowsecurity,
    'forced', c.relforcerowsecurity,
    'options', coalesce(pg_catalog.to_jsonb(c.reloptions), '[]'),
    'bound', pg_catalog.pg_get_expr(c.relpartbound, c.oid),
    'key', CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END,
    'is-partition', c.relispartition,
    'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END,
    'parents', (SELECT coalesce(pg_catalog.jsonb_agg(i.inhparent::int8 ORDER BY i.inhparent), '[]')
                FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
    'reads', (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT d.refobjid::int8), '[]')
              FROM pg_catalog.pg_rewrite w
              JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
              WHERE w.ev_class = c.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> c.oid),
    'owned-by', (SELECT d.refobjid::int8 FROM pg_catalog.pg_depend d
                 WHERE c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                   AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1),
    'columns', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'number', a.attnum,
            'name', a.attname,
            'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'base', b.typname,
            'base-type', pg_catalog.format_type(b.oid, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END),
            'kind', b.typtype::text,
            'category', b.typcategory::text,
            'length', CASE WHEN b.typname IN ('varchar', 'bpchar')
                           THEN nullif(coalesce(nullif(CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, -1), 0) - 4, -4) END,
            'required', a.attnotnull OR t.typnotnull,
            'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
            'generated', a.attgenerated <> '',
            'identity', a.attidentity <> '',
            'labels', (SELECT pg_catalog.jsonb_agg(e.enumlabel ORDER BY e.enumsortorder)
                       FROM pg_catalog.pg_enum e WHERE e.enumtypid IN (b.oid, b.typelem)),
            'fields', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(f.attname, y.typname) ORDER BY f.attnum)
                       FROM pg_catalog.pg_attribute f JOIN pg_catalog.pg_type y ON y.oid = f.atttypid
                       WHERE b.typtype = 'c' AND f.attrelid = b.typrelid AND f.attnum > 0 AND NOT f.attisdropped),
            'checks', (SELECT pg_catalog.jsonb_agg(pg_catalog.pg_get_constraintdef(k.oid))
                       FROM pg_catalog.pg_constraint k WHERE t.typtype = 'd' AND k.contypid = t.oid)
        ) ORDER BY a.attnum), '[]')
        FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'S')
) AS document
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                  WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY n.nspname, c.relname
