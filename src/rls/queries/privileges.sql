-- One row a role asked for and a relation it has any privilege on: the privileges of the table and of its columns.
SELECT
    r.name AS role,
    c.oid::int8 AS relation,
    ARRAY(SELECT p.name FROM pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p (name)
          WHERE c.relkind <> 'S' AND pg_catalog.has_table_privilege(r.name, c.oid, p.name)
             OR c.relkind = 'S' AND p.name IN ('SELECT', 'UPDATE') AND pg_catalog.has_sequence_privilege(r.name, c.oid, p.name)) AS privileges,
    ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE c.relkind <> 'S' AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND pg_catalog.has_column_privilege(r.name, c.oid, a.attnum, 'SELECT') ORDER BY a.attnum) AS readable,
    ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE c.relkind <> 'S' AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND pg_catalog.has_column_privilege(r.name, c.oid, a.attnum, 'INSERT') ORDER BY a.attnum) AS insertable,
    ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE c.relkind <> 'S' AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND pg_catalog.has_column_privilege(r.name, c.oid, a.attnum, 'UPDATE') ORDER BY a.attnum) AS updatable
FROM pg_catalog.unnest($1::text[]) AS r (name)
CROSS JOIN pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND pg_catalog.has_schema_privilege(r.name, n.oid, 'USAGE')
  AND (c.relkind = 'S' OR pg_catalog.has_table_privilege(r.name, c.oid, 'INSERT, UPDATE, DELETE, SELECT, TRUNCATE, REFERENCES, TRIGGER')
       OR pg_catalog.has_any_column_privilege(r.name, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
ORDER BY 1, 2
