-- the migrations that runs bound to a plan have applied, by version; $1 the plan's sha256
SELECT
  j.version,
  COALESCE(pg_catalog.to_char(pg_catalog.max(j.at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), '') AS at
FROM af_db.journal AS j
WHERE j.plan_sha256 OPERATOR(pg_catalog.=) $1
  AND j.version IS NOT NULL
  AND j.state OPERATOR(pg_catalog.=) 'applied'
GROUP BY j.version
ORDER BY j.version
