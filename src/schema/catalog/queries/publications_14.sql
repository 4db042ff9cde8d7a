-- Publications with their tables, one row each, as PostgreSQL 14 knows them.
SELECT
  'publication' AS kind,
  p.tableoid AS class,
  p.oid,
  (SELECT pg_catalog.array_agg(x.o) FROM pg_catalog.pg_publication_rel AS r, LATERAL (VALUES (r.tableoid), (r.oid)) AS x (o) WHERE r.prpubid = p.oid) AS aliases,
  p.pubname::text AS name,
  pg_catalog.pg_get_userbyid(p.pubowner)::text AS owner,
  CASE WHEN p.puballtables THEN 't' END AS all_tables,
  pg_catalog.concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
    CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END) AS publish,
  CASE WHEN p.pubviaroot THEN 't' END AS via_root,
  (SELECT pg_catalog.array_agg(pg_catalog.format('%I.%I', n.nspname, c.relname) ORDER BY n.nspname, c.relname)
    FROM pg_catalog.pg_publication_rel AS r
    JOIN pg_catalog.pg_class AS c ON c.oid = r.prrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE r.prpubid = p.oid) AS tables
FROM pg_catalog.pg_publication AS p
