-- Objects of the server or of extensions whose privileges were changed since they were made, one row each.
SELECT
  'system-grant' AS kind,
  0::oid AS class,
  o.oid,
  o.schema,
  -- Only what is left is worth printing.
  CASE WHEN o.part IN ('FUNCTION', 'PROCEDURE')
    THEN o.name || '(' || pg_catalog.pg_get_function_identity_arguments(o.oid) || ')'
    ELSE o.name
  END AS name,
  o.part,
  o.owner,
  o.acl::text[] AS acl,
  COALESCE(i.initprivs, o.standard)::text[] AS standard,
  -- The server's own objects belong to its first role until somebody gives them away.
  CASE WHEN o.oid < 16384 AND o.owner <> pg_catalog.pg_get_userbyid(10)::text THEN pg_catalog.pg_get_userbyid(10)::text END AS first_owner
FROM (
  SELECT p.tableoid AS class, p.oid, 0 AS sub, n.nspname::text AS schema,
    CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'FUNCTION' ELSE 'FUNCTION' END AS part,
    pg_catalog.quote_ident(p.proname) AS name,
    pg_catalog.pg_get_userbyid(p.proowner)::text AS owner, p.proacl AS acl, pg_catalog.acldefault('f', p.proowner) AS standard
  FROM pg_catalog.pg_proc AS p
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  WHERE p.proacl IS NOT NULL
    AND (p.oid < 16384 OR EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = p.tableoid AND e.objid = p.oid AND e.deptype = 'e'))
  UNION ALL
  SELECT c.tableoid, c.oid, 0, n.nspname::text,
    CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, pg_catalog.quote_ident(c.relname),
    pg_catalog.pg_get_userbyid(c.relowner)::text, c.relacl, pg_catalog.acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner)
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relacl IS NOT NULL
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND (c.oid < 16384 OR EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = c.tableoid AND e.objid = c.oid AND e.deptype = 'e'))
  UNION ALL
  SELECT 'pg_catalog.pg_class'::regclass, a.attrelid, a.attnum, n.nspname::text,
    'COLUMN ' || pg_catalog.quote_ident(a.attname), pg_catalog.quote_ident(c.relname),
    pg_catalog.pg_get_userbyid(c.relowner)::text, a.attacl, pg_catalog.acldefault('c', c.relowner)
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE a.attacl IS NOT NULL
    AND NOT a.attisdropped
    AND (c.oid < 16384 OR EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = c.tableoid AND e.objid = c.oid AND e.deptype = 'e'))
  UNION ALL
  SELECT t.tableoid, t.oid, 0, n.nspname::text,
    'TYPE', pg_catalog.quote_ident(t.typname),
    pg_catalog.pg_get_userbyid(t.typowner)::text, t.typacl, pg_catalog.acldefault('T', t.typowner)
  FROM pg_catalog.pg_type AS t
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
  WHERE t.typacl IS NOT NULL
    AND (t.oid < 16384 OR EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = t.tableoid AND e.objid = t.oid AND e.deptype = 'e'))
  UNION ALL
  SELECT l.tableoid, l.oid, 0, ''::text,
    'LANGUAGE', pg_catalog.quote_ident(l.lanname),
    pg_catalog.pg_get_userbyid(l.lanowner)::text, l.lanacl, pg_catalog.acldefault('l', l.lanowner)
  FROM pg_catalog.pg_language AS l
  WHERE l.lanacl IS NOT NULL
    AND (l.oid < 16384 OR EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = l.tableoid AND e.objid = l.oid AND e.deptype = 'e'))
) AS o
LEFT JOIN pg_catalog.pg_init_privs AS i ON i.classoid = o.class AND i.objoid = o.oid AND i.objsubid = o.sub
WHERE o.acl IS DISTINCT FROM COALESCE(i.initprivs, o.standard)
  AND o.schema <> 'information_schema'
