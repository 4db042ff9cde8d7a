-- Extended statistics, one row each.
SELECT
  'statistics' AS kind,
  x.tableoid AS class,
  x.oid,
  x.stxrelid AS relation,
  n.nspname::text AS schema,
  x.stxname::text AS name,
  pg_catalog.pg_get_userbyid(x.stxowner)::text AS owner,
  pg_catalog.format('%I.%I', tn.nspname, t.relname) AS table,
  pg_catalog.pg_get_statisticsobjdef(x.oid) AS definition,
  CASE WHEN x.stxstattarget >= 0 THEN x.stxstattarget::text END AS target
FROM pg_catalog.pg_statistic_ext AS x
JOIN pg_catalog.pg_namespace AS n ON n.oid = x.stxnamespace
JOIN pg_catalog.pg_class AS t ON t.oid = x.stxrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
WHERE x.stxnamespace = ANY ($1)
