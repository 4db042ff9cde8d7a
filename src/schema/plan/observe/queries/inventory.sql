-- Every relation of users: what it is, where its file lies, whose index it is.
SELECT
    c.oid,
    c.relkind::pg_catalog.text AS kind,
    n.nspname AS schema,
    c.relname AS name,
    c.relfilenode AS file,
    c.reltablespace AS tablespace,
    i.indrelid AS table_of,
    c.relrowsecurity AS row_security,
    c.relforcerowsecurity AS forced,
    c.relowner AS owner,
    c.relhassubclass AS has_children
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
WHERE
    c.oid >= 16384
    AND c.relnamespace <> 99
    AND c.relpersistence <> 't'
    AND n.nspname <> 'af_db_observer'
ORDER BY c.oid
