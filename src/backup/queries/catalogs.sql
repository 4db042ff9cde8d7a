-- One row for each catalog of this database whose rows have an oid, and whether this role may read those.
SELECT
  c.relname::pg_catalog.text AS catalog,
  pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_attribute AS a
  ON a.attrelid = c.oid AND a.attname = 'oid' AND a.atttypid = 'pg_catalog.oid'::pg_catalog.regtype
WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace
  AND c.relkind = 'r'
  AND NOT c.relisshared
ORDER BY c.relname
