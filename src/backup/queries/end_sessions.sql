-- One row: whether the session $2 holds the database $1 for itself, so that nobody else enters, and nobody but the session $3 is in.
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_locks AS l
  JOIN pg_catalog.pg_database AS d
    ON d.oid = l.objid
  WHERE l.locktype = 'object'
    AND l.classid = 'pg_catalog.pg_database'::pg_catalog.regclass
    AND d.datname = $1
    AND l.pid = $2
    AND l.mode = 'AccessExclusiveLock'
    AND l.granted
) AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_stat_activity AS a
  WHERE a.datname = $1
    AND a.pid <> $3
    AND coalesce(a.backend_type, '') <> 'autovacuum worker'
)
