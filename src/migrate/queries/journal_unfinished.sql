-- the newest row of each version whose newest row says that it was begun, by version
SELECT j.version, j.state, j.statement, j.up_sha256, j.run, j.error, j.at::pg_catalog.text
FROM (
  SELECT DISTINCT ON (version) *
  FROM af_db.journal
  WHERE version IS NOT NULL
  ORDER BY version, id DESC
) AS j
WHERE j.state IN ('began', 'unit-began', 'unit-done', 'failed-half-way')
ORDER BY j.version
