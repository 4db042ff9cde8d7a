-- the newest rows of the journal, oldest first
SELECT
  j.id,
  j.run,
  j.version,
  j.name,
  j.state,
  j.statement,
  j.actor,
  j.role,
  j.host,
  j.git_commit,
  j.tool,
  pg_catalog.to_char(j.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at,
  (pg_catalog.date_part('epoch', j.at OPERATOR(pg_catalog.-) j.started) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8 AS took_ms,
  j.lock_waits,
  j.lsn,
  j.error,
  j.note
FROM (SELECT * FROM af_db.journal ORDER BY id DESC LIMIT $1) AS j
ORDER BY j.id
