-- Enums, domains, composites, ranges, base types and shells, one row each.
SELECT
  'type' AS kind,
  t.tableoid AS class,
  t.oid,
  CASE
    WHEN t.typtype = 'c' THEN ARRAY[t.tableoid, t.typarray, 'pg_catalog.pg_class'::regclass::oid, t.typrelid]
    WHEN t.typtype = 'r' THEN ARRAY[t.tableoid, t.typarray, t.tableoid, r.rngmultitypid]
    ELSE ARRAY[t.tableoid, t.typarray]
  END AS aliases,
  n.nspname::text AS schema,
  t.typname::text AS name,
  pg_catalog.pg_get_userbyid(t.typowner)::text AS owner,
  t.typacl::text[] AS acl,
  CASE
    WHEN NOT t.typisdefined THEN 'shell'
    WHEN t.typtype = 'e' THEN 'enum'
    WHEN t.typtype = 'd' THEN 'domain'
    WHEN t.typtype = 'c' THEN 'composite'
    WHEN t.typtype = 'r' THEN 'range'
    ELSE 'base'
  END AS type,
  CASE WHEN t.typtype = 'e' THEN ARRAY(
    SELECT e.enumlabel::text FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder
  ) END AS labels,
  CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END AS base,
  CASE WHEN t.typtype = 'd' AND t.typnotnull THEN 't' END AS not_null,
  CASE WHEN t.typtype = 'd' THEN COALESCE(pg_catalog.pg_get_expr(t.typdefaultbin, 0), pg_catalog.quote_literal(t.typdefault)) ELSE t.typdefault END AS default,
  CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN (
    SELECT pg_catalog.format('%I.%I', ln.nspname, l.collname)
    FROM pg_catalog.pg_collation AS l
    JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace
    WHERE l.oid = t.typcollation
  ) END AS collation,
  CASE WHEN t.typtype = 'r' THEN pg_catalog.format_type(r.rngsubtype, NULL) END AS subtype,
  CASE WHEN t.typtype = 'r' AND NOT c.opcdefault THEN pg_catalog.format('%I.%I', cn.nspname, c.opcname) END AS subtype_opclass,
  CASE WHEN t.typtype = 'r' AND r.rngcollation <> st.typcollation THEN (
    SELECT pg_catalog.format('%I.%I', ln.nspname, l.collname)
    FROM pg_catalog.pg_collation AS l
    JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace
    WHERE l.oid = r.rngcollation
  ) END AS range_collation,
  CASE WHEN r.rngcanonical <> 0 THEN r.rngcanonical::regproc::text END AS canonical,
  CASE WHEN r.rngsubdiff <> 0 THEN r.rngsubdiff::regproc::text END AS subtype_diff,
  CASE WHEN t.typtype = 'r' THEN pg_catalog.format_type(r.rngmultitypid, NULL) END AS multirange,
  CASE WHEN t.typtype = 'b' THEN ARRAY(
    SELECT f.word || ' = ' || f.value
    FROM (VALUES
      ('INPUT', t.typinput::regproc::text),
      ('OUTPUT', t.typoutput::regproc::text),
      ('RECEIVE', NULLIF(t.typreceive::regproc::text, '-')),
      ('SEND', NULLIF(t.typsend::regproc::text, '-')),
      ('TYPMOD_IN', NULLIF(t.typmodin::regproc::text, '-')),
      ('TYPMOD_OUT', NULLIF(t.typmodout::regproc::text, '-')),
      ('ANALYZE', NULLIF(t.typanalyze::regproc::text, '-')),
      ('SUBSCRIPT', NULLIF(t.typsubscript::regproc::text, '-')),
      ('INTERNALLENGTH', CASE WHEN t.typlen > 0 THEN t.typlen::text ELSE 'VARIABLE' END),
      ('PASSEDBYVALUE', CASE WHEN t.typbyval THEN 'true' END),
      ('ALIGNMENT', CASE t.typalign WHEN 'c' THEN 'char' WHEN 's' THEN 'int2' WHEN 'i' THEN 'int4' ELSE 'double' END),
      ('STORAGE', CASE t.typstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'x' THEN 'extended' ELSE 'main' END),
      ('CATEGORY', CASE WHEN t.typcategory <> 'U' THEN pg_catalog.quote_literal(t.typcategory::text) END),
      ('PREFERRED', CASE WHEN t.typispreferred THEN 'true' END),
      ('ELEMENT', CASE WHEN t.typelem <> 0 THEN pg_catalog.format_type(t.typelem, NULL) END),
      ('DELIMITER', CASE WHEN t.typdelim <> ',' THEN pg_catalog.quote_literal(t.typdelim::text) END),
      ('COLLATABLE', CASE WHEN t.typcollation <> 0 THEN 'true' END),
      ('DEFAULT', pg_catalog.quote_literal(t.typdefault))
    ) AS f (word, value)
    WHERE f.value IS NOT NULL
  ) END AS parts
FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_type AS b ON b.oid = t.typbasetype
LEFT JOIN pg_catalog.pg_class AS k ON k.oid = t.typrelid
LEFT JOIN pg_catalog.pg_range AS r ON r.rngtypid = t.oid
LEFT JOIN pg_catalog.pg_type AS st ON st.oid = r.rngsubtype
LEFT JOIN pg_catalog.pg_opclass AS c ON c.oid = r.rngsubopc
LEFT JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.opcnamespace
WHERE t.typnamespace = ANY ($1)
  AND t.typtype IN ('e', 'd', 'c', 'r', 'b', 'p')
  AND (t.typrelid = 0 OR k.relkind = 'c')
  -- Hashed whatever the planner believes: a database just made has no statistics, and this column no index.
  AND t.oid NOT IN (SELECT e.typarray FROM pg_catalog.pg_type AS e)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = t.tableoid AND e.objid = t.oid AND e.deptype = 'e')
