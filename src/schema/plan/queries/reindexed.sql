-- the indexes that an interrupted REINDEX CONCURRENTLY left of what it was to rebuild: columns as in indexes.sql
-- $1 what it was: index, table, schema, database or system; $2 its name
SELECT
  n.nspname::pg_catalog.text,
  c.relname::pg_catalog.text,
  i.indisvalid,
  c.oid,
  (
    SELECT progress.pid
    FROM pg_catalog.pg_stat_progress_create_index AS progress
    JOIN pg_catalog.pg_locks AS held
      ON held.pid OPERATOR(pg_catalog.=) progress.pid
      AND held.relation OPERATOR(pg_catalog.=) i.indrelid
    WHERE progress.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
    LIMIT 1
  ) AS builder
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c
  ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_namespace AS n
  ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE NOT i.indisvalid
  AND c.relname::pg_catalog.text OPERATOR(pg_catalog.~) '_cc(new|old)[0-9]*$'
  -- nobody but the server itself may drop an index of a TOAST table
  AND n.nspname::pg_catalog.text OPERATOR(pg_catalog.<>) 'pg_toast'
  AND CASE $1
    WHEN 'index' THEN i.indrelid OPERATOR(pg_catalog.=) (
      SELECT named.indrelid
      FROM pg_catalog.pg_index AS named
      WHERE named.indexrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($2)::pg_catalog.oid
    )
    WHEN 'table' THEN i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($2)::pg_catalog.oid
    WHEN 'schema' THEN n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) $2
    ELSE true
  END
ORDER BY c.oid
