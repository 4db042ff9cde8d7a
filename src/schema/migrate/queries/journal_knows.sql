-- one row: whether any run was about a tenant's schema; $1 the schema
SELECT EXISTS (
  SELECT
  FROM af_db.journal AS j
  WHERE COALESCE(pg_catalog.substring(j.run, '/(.*)$'), '') OPERATOR(pg_catalog.=) $1
)
