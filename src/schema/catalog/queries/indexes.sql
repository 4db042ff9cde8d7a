-- Indexes that do not belong to a constraint, one row each.
SELECT
  'index' AS kind,
  'pg_catalog.pg_class'::regclass::oid AS class,
  i.indexrelid AS oid,
  n.nspname::text AS schema,
  c.relname::text AS name,
  i.indrelid AS relation,
  i.indkey::int2[] AS keys,
  pg_catalog.format('%I.%I', tn.nspname, t.relname) AS table,
  pg_catalog.pg_get_indexdef(i.indexrelid) AS definition,
  CASE WHEN i.indisunique THEN 't' END AS unique,
  CASE WHEN NOT i.indisvalid AND c.relkind = 'i' THEN 't' END AS invalid,
  CASE WHEN i.indisclustered THEN 't' END AS clustered,
  CASE WHEN i.indisreplident THEN 't' END AS replica_identity,
  s.spcname::text AS tablespace,
  CASE WHEN i.indexprs IS NOT NULL THEN (
    SELECT pg_catalog.array_agg(a.attnum || '=' || a.attstattarget ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0
  ) END AS statistics,
  CASE WHEN c.relispartition THEN (
    SELECT pg_catalog.format('%I.%I', pn.nspname, p.relname)
    FROM pg_catalog.pg_inherits AS h
    JOIN pg_catalog.pg_class AS p ON p.oid = h.inhparent
    JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
    WHERE h.inhrelid = i.indexrelid
  ) END AS parent,
  CASE WHEN c.relkind = 'I' THEN 't' END AS partitioned
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
WHERE c.relnamespace = ANY ($1)
  -- Hashed whatever the planner believes: a database just made has no statistics, and this column no index.
  AND i.indexrelid NOT IN (SELECT k.conindid FROM pg_catalog.pg_constraint AS k WHERE k.contype IN ('p', 'u', 'x'))
