-- Publications with their tables and schemas, one row each.
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
  CASE pg_catalog.to_jsonb(p) ->> 'pubgencols' WHEN 's' THEN 'stored' END AS generated_columns,
  (SELECT pg_catalog.array_agg(
      pg_catalog.format('%I.%I', n.nspname, c.relname)
      || CASE WHEN r.prattrs IS NULL THEN '' ELSE ' (' || (
        SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY u.o)
        FROM pg_catalog.unnest(r.prattrs) WITH ORDINALITY AS u (n, o)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.prrelid AND a.attnum = u.n) || ')' END
      || CASE WHEN r.prqual IS NULL THEN '' ELSE ' WHERE ' || pg_catalog.pg_get_expr(r.prqual, r.prrelid) END
      ORDER BY n.nspname, c.relname)
    FROM pg_catalog.pg_publication_rel AS r
    JOIN pg_catalog.pg_class AS c ON c.oid = r.prrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE r.prpubid = p.oid) AS tables,
  (SELECT pg_catalog.array_agg(pg_catalog.quote_ident(n.nspname) ORDER BY n.nspname)
    FROM pg_catalog.pg_publication_namespace AS s
    JOIN pg_catalog.pg_namespace AS n ON n.oid = s.pnnspid
    WHERE s.pnpubid = p.oid) AS schemas
FROM pg_catalog.pg_publication AS p
