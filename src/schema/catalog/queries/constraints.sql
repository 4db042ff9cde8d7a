-- Constraints of tables and domains, one row each; those that merely repeat a parent's are left out.
SELECT
  CASE WHEN k.contypid <> 0 THEN 'domain-constraint' ELSE 'constraint' END AS kind,
  k.tableoid AS class,
  k.oid,
  CASE WHEN k.contype IN ('p', 'u', 'x') THEN ARRAY['pg_catalog.pg_class'::regclass::oid, k.conindid] END AS aliases,
  n.nspname::text AS schema,
  COALESCE(c.relname, t.typname)::text AS name,
  k.conname::text AS part,
  k.conrelid AS relation,
  k.conkey AS keys,
  CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key' WHEN 'x' THEN 'exclusion' ELSE 'check' END AS type,
  pg_catalog.pg_get_constraintdef(k.oid) AS definition,
  CASE WHEN k.contype = 'f' THEN (
    SELECT pg_catalog.format('%I.%I', fn.nspname, f.relname)
    FROM pg_catalog.pg_class AS f
    JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.relnamespace
    WHERE f.oid = k.confrelid
  ) END AS references,
  CASE WHEN NOT k.convalidated THEN 't' END AS not_valid,
  CASE WHEN k.contype = 'c' AND k.coninhcount > 0 THEN 't' END AS inherited,
  CASE WHEN k.condeferrable THEN 't' END AS deferrable,
  s.spcname::text AS tablespace,
  ic.reloptions AS storage,
  CASE WHEN i.indisclustered THEN 't' END AS clustered,
  CASE WHEN i.indisreplident THEN 't' END AS replica_identity,
  CASE WHEN k.contype IN ('p', 'u', 'x') AND c.relispartition THEN (
    SELECT pg_catalog.format('%I.%I', pn.nspname, p.relname)
    FROM pg_catalog.pg_inherits AS h
    JOIN pg_catalog.pg_class AS p ON p.oid = h.inhparent
    JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
    WHERE h.inhrelid = k.conindid
  ) END AS parent
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_namespace AS n ON n.oid = k.connamespace
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
LEFT JOIN pg_catalog.pg_type AS t ON t.oid = k.contypid
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x')
LEFT JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = ic.reltablespace
WHERE k.contype IN ('p', 'u', 'f', 'x', 'c')
  AND (k.contype <> 'f' OR k.conparentid = 0)
  AND (k.contype <> 'c' OR k.conislocal OR k.coninhcount = 0 OR c.relispartition)
  AND k.connamespace = ANY ($1)
