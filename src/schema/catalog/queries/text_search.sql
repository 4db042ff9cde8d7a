-- Text search parsers, templates, dictionaries and configurations, one row each.
SELECT
  'text-search-parser' AS kind,
  p.tableoid AS class,
  p.oid,
  n.nspname::text AS schema,
  p.prsname::text AS name,
  NULL::text AS owner,
  ARRAY[
    'START = ' || p.prsstart::regproc::text,
    'GETTOKEN = ' || p.prstoken::regproc::text,
    'END = ' || p.prsend::regproc::text,
    'LEXTYPES = ' || p.prslextype::regproc::text
  ] || CASE WHEN p.prsheadline <> 0 THEN ARRAY['HEADLINE = ' || p.prsheadline::regproc::text] ELSE ARRAY[]::text[] END AS parts,
  NULL::text[] AS mappings
FROM pg_catalog.pg_ts_parser AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.prsnamespace
WHERE p.prsnamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = p.tableoid AND e.objid = p.oid AND e.deptype = 'e')
UNION ALL
SELECT
  'text-search-template',
  t.tableoid,
  t.oid,
  n.nspname::text,
  t.tmplname::text,
  NULL,
  CASE WHEN t.tmplinit <> 0 THEN ARRAY['INIT = ' || t.tmplinit::regproc::text] ELSE ARRAY[]::text[] END || ARRAY['LEXIZE = ' || t.tmpllexize::regproc::text],
  NULL
FROM pg_catalog.pg_ts_template AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.tmplnamespace
WHERE t.tmplnamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = t.tableoid AND e.objid = t.oid AND e.deptype = 'e')
UNION ALL
SELECT
  'text-search-dictionary',
  d.tableoid,
  d.oid,
  n.nspname::text,
  d.dictname::text,
  pg_catalog.pg_get_userbyid(d.dictowner)::text,
  ARRAY[pg_catalog.format('TEMPLATE = %I.%I', tn.nspname, t.tmplname)] || CASE WHEN d.dictinitoption <> '' THEN ARRAY[d.dictinitoption] ELSE ARRAY[]::text[] END,
  NULL
FROM pg_catalog.pg_ts_dict AS d
JOIN pg_catalog.pg_namespace AS n ON n.oid = d.dictnamespace
JOIN pg_catalog.pg_ts_template AS t ON t.oid = d.dicttemplate
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.tmplnamespace
WHERE d.dictnamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = d.tableoid AND e.objid = d.oid AND e.deptype = 'e')
UNION ALL
SELECT
  'text-search-configuration',
  c.tableoid,
  c.oid,
  n.nspname::text,
  c.cfgname::text,
  pg_catalog.pg_get_userbyid(c.cfgowner)::text,
  ARRAY[pg_catalog.format('PARSER = %I.%I', pn.nspname, p.prsname)],
  ARRAY(
    SELECT pg_catalog.format('%I WITH %s', k.alias, pg_catalog.string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno))
    FROM pg_catalog.pg_ts_config_map AS m
    JOIN pg_catalog.ts_token_type(c.cfgparser) AS k ON k.tokid = m.maptokentype
    WHERE m.mapcfg = c.oid
    GROUP BY k.alias, k.tokid
    ORDER BY k.tokid
  )
FROM pg_catalog.pg_ts_config AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.cfgnamespace
JOIN pg_catalog.pg_ts_parser AS p ON p.oid = c.cfgparser
JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.prsnamespace
WHERE c.cfgnamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = c.tableoid AND e.objid = c.oid AND e.deptype = 'e')
