-- one row: whether the journal knows a migration of a history, or what it held before; $1 the tenant's schema, or nothing
SELECT EXISTS (
  SELECT
  FROM af_db.journal AS j
  WHERE (j.version IS NOT NULL OR j.state OPERATOR(pg_catalog.=) 'opened')
    AND COALESCE(pg_catalog.substring(j.run, '/(.*)$'), '') OPERATOR(pg_catalog.=) $1
)
