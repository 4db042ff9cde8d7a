-- Tables, partitioned tables, foreign tables, views and materialized views, one row each.
SELECT
  CASE c.relkind
    WHEN 'v' THEN 'view'
    WHEN 'm' THEN 'materialized-view'
    WHEN 'f' THEN 'foreign-table'
    ELSE 'table'
  END AS kind,
  c.tableoid AS class,
  c.oid,
  CASE
    WHEN c.relkind IN ('v', 'm') THEN ARRAY[
      'pg_catalog.pg_type'::regclass::oid, c.reltype,
      'pg_catalog.pg_rewrite'::regclass::oid, (SELECT r.oid FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN'),
      'pg_catalog.pg_type'::regclass::oid, t.typarray]
    ELSE ARRAY['pg_catalog.pg_type'::regclass::oid, c.reltype, 'pg_catalog.pg_type'::regclass::oid, t.typarray]
  END AS aliases,
  n.nspname::text AS schema,
  c.relname::text AS name,
  pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
  c.relacl::text[] AS acl,
  CASE WHEN c.relpersistence = 'u' THEN 't' END AS unlogged,
  CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partition_by,
  CASE WHEN c.relispartition THEN 't' END AS partition,
  CASE WHEN c.relhassubclass OR NOT c.relispartition AND c.relkind IN ('r', 'f') THEN (
    SELECT pg_catalog.array_agg(pg_catalog.format('%I.%I', pn.nspname, p.relname) ORDER BY i.inhseqno)
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent
    JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
    WHERE i.inhrelid = c.oid AND NOT c.relispartition
  ) END AS inherits,
  CASE WHEN c.reloftype <> 0 THEN pg_catalog.format_type(c.reloftype, NULL) END AS of_type,
  c.reloptions AS options,
  CASE WHEN c.reltoastrelid <> 0 THEN (SELECT k.reloptions FROM pg_catalog.pg_class AS k WHERE k.oid = c.reltoastrelid) END AS toast_options,
  CASE WHEN a.amname <> 'heap' THEN a.amname::text END AS access_method,
  s.spcname::text AS tablespace,
  CASE WHEN c.relkind IN ('r', 'p', 'm') THEN CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' END END AS replica_identity,
  CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END AS definition,
  CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN 't' END AS unfilled,
  fs.srvname::text AS server,
  CASE WHEN c.relkind = 'f' THEN (
    SELECT pg_catalog.array_agg(o.option_name || '=' || o.option_value ORDER BY o.ordinality)
    FROM pg_catalog.pg_options_to_table(ft.ftoptions) WITH ORDINALITY AS o
  ) END AS server_options
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_type AS t ON t.oid = c.reltype
LEFT JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_foreign_table AS ft ON ft.ftrelid = c.oid
LEFT JOIN pg_catalog.pg_foreign_server AS fs ON fs.oid = ft.ftserver
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
  AND c.relnamespace = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = c.tableoid AND e.objid = c.oid AND e.objsubid = 0 AND e.deptype = 'e')
