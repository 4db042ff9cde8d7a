-- the relations to be changed that are published; $1 the relations
SELECT
  'warning' AS weight,
  relation.name AS object,
  format('published by %s; schema changes are not replicated', string_agg(quote_ident(published.pubname), ', ' ORDER BY published.pubname)) AS words
FROM unnest($1::text[]) AS relation (name)
JOIN pg_catalog.pg_class AS class
  ON class.oid = to_regclass(relation.name)
JOIN pg_catalog.pg_namespace AS namespace
  ON namespace.oid = class.relnamespace
JOIN pg_catalog.pg_publication_tables AS published
  ON published.schemaname = namespace.nspname
  AND published.tablename = class.relname
GROUP BY relation.name
ORDER BY 2
