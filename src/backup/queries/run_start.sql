-- Where in the log the first row of a run of the journal stands: one row, NULL where there is no such run.
SELECT
  pg_catalog.min(j.lsn::pg_catalog.pg_lsn)::pg_catalog.text AS lsn,
  pg_catalog.min(j.run) AS run,
  pg_catalog.count(DISTINCT j.run) AS runs
FROM af_db.journal AS j
WHERE pg_catalog.starts_with(j.run, $1)
