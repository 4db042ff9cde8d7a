-- One row for each database that a restore left unfinished and nobody is connected to.
SELECT d.datname::pg_catalog.text
FROM pg_catalog.pg_database AS d
WHERE pg_catalog.shobj_description(d.oid, 'pg_database') = $1
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity AS a
    WHERE a.datid = d.oid
  )
