-- the newest row of each version whose newest row says that it was begun, by version; $1 the tenant's schema, or nothing
SELECT j.version, j.state, j.statement, j.up_sha256, j.down_sha256, j.error, COALESCE(pg_catalog.to_char(j.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), '') AS at
FROM (
  SELECT DISTINCT ON (version) *
  FROM af_db.journal
  WHERE version IS NOT NULL
    AND COALESCE(pg_catalog.substring(run, '/(.*)$'), '') OPERATOR(pg_catalog.=) $1
  ORDER BY version, id DESC
) AS j
WHERE j.state IN (
  'began', 'unit-began', 'unit-done', 'failed-half-way',
  'revert-unit-began', 'revert-unit-done', 'revert-failed-half-way'
)
ORDER BY j.version
