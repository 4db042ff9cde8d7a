-- One row for each other session that has, or waits for, a lock on a relation that conflicts with the one wanted,
-- holders first, the one whose transaction is oldest before the others. $1 names of relations, $2 the mode wanted of each.
WITH conflict (wanted, other) AS (
  VALUES
    ('AccessShareLock', ARRAY['AccessExclusiveLock']),
    ('RowShareLock', ARRAY['ExclusiveLock', 'AccessExclusiveLock']),
    ('RowExclusiveLock', ARRAY['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']),
    ('ShareUpdateExclusiveLock', ARRAY['ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']),
    ('ShareLock', ARRAY['RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']),
    ('ShareRowExclusiveLock', ARRAY['RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']),
    ('ExclusiveLock', ARRAY['RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']),
    ('AccessExclusiveLock', ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'])
),
other AS (
  SELECT
    COALESCE(held.pid, 0) AS pid,
    pg_catalog.bool_and(NOT held.granted) AS waits
  FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS wanted (relation, mode)
  JOIN conflict
    ON conflict.wanted OPERATOR(pg_catalog.=) wanted.mode
  JOIN pg_catalog.pg_locks AS held
    ON held.relation OPERATOR(pg_catalog.=) pg_catalog.to_regclass(wanted.relation)::pg_catalog.oid
    AND held.mode OPERATOR(pg_catalog.=) ANY (conflict.other)
  WHERE held.locktype OPERATOR(pg_catalog.=) 'relation'
    AND held.database OPERATOR(pg_catalog.=) (
      SELECT oid
      FROM pg_catalog.pg_database
      WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
    )
    AND COALESCE(held.pid, 0) OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
  GROUP BY COALESCE(held.pid, 0)
)
SELECT
  other.pid,
  other.waits,
  activity.usename::pg_catalog.text AS role,
  activity.application_name AS application,
  pg_catalog.host(activity.client_addr) AS client,
  activity.backend_type AS kind,
  activity.state,
  activity.query,
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) activity.backend_start)::pg_catalog.float8 AS connected,
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) activity.xact_start)::pg_catalog.float8 AS transaction
FROM other
LEFT JOIN pg_catalog.pg_stat_activity AS activity
  ON activity.pid OPERATOR(pg_catalog.=) other.pid
ORDER BY other.waits, activity.xact_start, other.pid
