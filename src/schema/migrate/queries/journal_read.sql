-- the newest rows of the journal, oldest first
SELECT
  -- a row that was tampered with is shown as well, whatever it lacks
  COALESCE(j.id, 0) AS id,
  COALESCE(j.run, '') AS run,
  j.version,
  j.name,
  COALESCE(j.state, '') AS state,
  j.statement,
  COALESCE(j.actor, '') AS actor,
  COALESCE(j.role, '') AS role,
  COALESCE(j.host, '') AS host,
  j.git_commit,
  COALESCE(j.tool, '') AS tool,
  COALESCE(pg_catalog.to_char(j.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), '') AS at,
  CASE
    WHEN pg_catalog.isfinite(j.at) AND pg_catalog.isfinite(j.started)
    THEN (pg_catalog.date_part('epoch', j.at OPERATOR(pg_catalog.-) j.started) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8
    ELSE 0
  END AS took_ms,
  COALESCE(j.lock_waits, 0) AS lock_waits,
  j.lsn,
  j.error,
  j.note
FROM (SELECT * FROM af_db.journal ORDER BY id DESC LIMIT $1) AS j
ORDER BY j.id
