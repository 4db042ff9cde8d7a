-- the indexes of table $1: schema, name, whether it is valid, its oid, and who else builds an index of the table
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
WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)::pg_catalog.oid
ORDER BY c.oid
