-- Not-null constraints that differ from what NOT NULL alone makes (PostgreSQL 18 and later), one row each.
SELECT
  'not-null' AS kind,
  k.tableoid AS class,
  k.oid,
  n.nspname::text AS schema,
  c.relname::text AS name,
  a.attname::text AS part,
  k.conname::text AS constraint,
  CASE WHEN k.connoinherit THEN 't' END AS no_inherit,
  CASE WHEN NOT k.convalidated THEN 't' END AS not_valid
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = k.connamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
WHERE k.contype = 'n'
  AND k.connamespace = ANY ($1)
  AND k.conislocal
  AND (k.connoinherit
    OR NOT k.convalidated
    OR k.conname <> pg_catalog.left(c.relname || '_' || a.attname || '_not_null', 63)
    OR EXISTS (SELECT FROM pg_catalog.pg_description AS d WHERE d.classoid = k.tableoid AND d.objoid = k.oid))
