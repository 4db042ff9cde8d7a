-- the names of indexes that an interrupted REINDEX CONCURRENTLY left behind and that nobody is building now
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c
  ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_namespace AS n
  ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE NOT i.indisvalid
  AND c.relname::pg_catalog.text OPERATOR(pg_catalog.~) '_cc(new|old)[0-9]*$'
  AND NOT EXISTS (
    SELECT
    FROM pg_catalog.pg_stat_progress_create_index AS progress
    JOIN pg_catalog.pg_locks AS held
      ON held.pid OPERATOR(pg_catalog.=) progress.pid
      AND held.relation OPERATOR(pg_catalog.=) i.indrelid
    WHERE progress.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
  )
ORDER BY 1
