-- The code of users in a database: what it is, what it belongs to, what it calls, and its text.
--
-- Without a search path, so that names are printed with their schemas.
SELECT
    'function' AS kind,
    pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) AS name,
    p.proname AS bare,
    NULL::pg_catalog.oid AS relation,
    p.oid AS function,
    NULL::pg_catalog.oid AS calls,
    NULL::pg_catalog.oid AS leads,
    -- An extension's own C code cannot be read, and is trusted not to write into users' tables.
    l.lanname NOT IN ('sql', 'plpgsql')
    AND p.prokind <> 'a'
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
    ) AS is_opaque,
    CASE WHEN p.prokind = 'a'
        THEN pg_catalog.format('%s() %s()', a.aggtransfn::pg_catalog.regproc, a.aggfinalfn::pg_catalog.regproc)
        ELSE pg_catalog.pg_get_functiondef(p.oid)
    END AS text,
    row(
        CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid) END, a, p.prosrc, p.probin,
        pg_catalog.pg_get_userbyid(p.proowner)
    )::pg_catalog.text AS definition
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
LEFT JOIN pg_catalog.pg_aggregate AS a ON a.aggfnoid = p.oid
WHERE p.oid >= 16384
UNION ALL
SELECT 'trigger', t.tgname, t.tgname, t.tgrelid, NULL, t.tgfoid, NULL, false, '',
    row(pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled)::pg_catalog.text
FROM pg_catalog.pg_trigger AS t
WHERE NOT t.tgisinternal
UNION ALL
SELECT 'event trigger', e.evtname, e.evtname, NULL, NULL, e.evtfoid, NULL, false, '',
    row(e.evtevent, e.evtenabled, e.evttags)::pg_catalog.text
FROM pg_catalog.pg_event_trigger AS e
UNION ALL
SELECT CASE WHEN r.rulename = '_RETURN' THEN 'view' ELSE 'rule' END, r.rulename, r.rulename, r.ev_class, NULL, NULL, NULL, false,
    pg_catalog.pg_get_ruledef(r.oid), row(pg_catalog.pg_get_ruledef(r.oid), r.ev_enabled)::pg_catalog.text
FROM pg_catalog.pg_rewrite AS r
WHERE r.ev_class >= 16384
UNION ALL
SELECT 'policy', p.polname, p.polname, p.polrelid, NULL, NULL, NULL, false,
    pg_catalog.concat_ws(
        ' ', pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
    ),
    row(
        p.polcmd, p.polpermissive, p.polroles::pg_catalog.regrole[],
        pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
    )::pg_catalog.text
FROM pg_catalog.pg_policy AS p
UNION ALL
SELECT 'default', a.attname, a.attname, d.adrelid, NULL, NULL, NULL, false,
    pg_catalog.pg_get_expr(d.adbin, d.adrelid), row(pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attgenerated)::pg_catalog.text
FROM pg_catalog.pg_attrdef AS d
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE d.adrelid >= 16384
UNION ALL
-- A foreign key belongs to the table it points at, and leads to the one whose rows follow.
SELECT
    CASE WHEN c.contype = 'f' THEN 'foreign key' ELSE 'constraint' END, c.conname, c.conname,
    CASE WHEN c.contype = 'f' THEN c.confrelid ELSE nullif(c.conrelid, 0) END, NULL, NULL,
    CASE WHEN c.contype = 'f' THEN c.conrelid END, false,
    pg_catalog.pg_get_constraintdef(c.oid),
    row(pg_catalog.pg_get_constraintdef(c.oid), c.conrelid::pg_catalog.regclass)::pg_catalog.text
FROM pg_catalog.pg_constraint AS c
WHERE
    c.oid >= 16384
    AND (c.contype = 'c' OR c.contype = 'f' AND (c.confdeltype NOT IN ('a', 'r') OR c.confupdtype NOT IN ('a', 'r')))
UNION ALL
SELECT 'index', c.relname, c.relname, i.indrelid, NULL, NULL, NULL, false,
    pg_catalog.pg_get_indexdef(i.indexrelid), pg_catalog.pg_get_indexdef(i.indexrelid)
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
WHERE i.indexrelid >= 16384 AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
UNION ALL
SELECT 'operator', o.oid::pg_catalog.regoperator::pg_catalog.text, o.oprname, NULL, NULL, o.oprcode, NULL, false, '',
    row(o.oprcode, o.oprrest, o.oprjoin)::pg_catalog.text
FROM pg_catalog.pg_operator AS o
WHERE
    o.oid >= 16384
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND d.objid = o.oid AND d.deptype = 'e'
    )
UNION ALL
SELECT 'cast', pg_catalog.format('%s AS %s', c.castsource::pg_catalog.regtype, c.casttarget::pg_catalog.regtype), '', NULL, NULL,
    nullif(c.castfunc, 0), NULL, false, '', row(c.castfunc::pg_catalog.regprocedure, c.castcontext)::pg_catalog.text
FROM pg_catalog.pg_cast AS c
WHERE
    c.oid >= 16384
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
    )
UNION ALL
SELECT 'foreign table', s.srvname, s.srvname, f.ftrelid, NULL, NULL, NULL, false, '',
    row(f.ftoptions, s.srvoptions)::pg_catalog.text
FROM pg_catalog.pg_foreign_table AS f
JOIN pg_catalog.pg_foreign_server AS s ON s.oid = f.ftserver
UNION ALL
SELECT 'partition', c.relname, c.relname, i.inhparent, NULL, NULL, i.inhrelid, false, '', NULL
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'relation', pg_catalog.format('%I.%I', n.nspname, c.relname), c.relname, c.oid, NULL, NULL, NULL, false, '', NULL
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
ORDER BY 1, 2, 4
