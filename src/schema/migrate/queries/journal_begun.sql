-- the migrations that runs bound to a plan have begun statement by statement, by version; $1 the plan's sha256
SELECT DISTINCT j.version
FROM af_db.journal AS j
WHERE j.plan_sha256 OPERATOR(pg_catalog.=) $1
  AND j.version IS NOT NULL
  AND j.state IN ('began', 'unit-began', 'unit-done', 'failed-half-way')
ORDER BY j.version
