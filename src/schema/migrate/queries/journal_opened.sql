-- what the history held when the journal was begun, if that came before every migration; $1 the tenant's schema, or nothing
SELECT j.note
FROM af_db.journal AS j
WHERE j.state OPERATOR(pg_catalog.=) 'opened'
  AND j.note IS NOT NULL
  AND COALESCE(pg_catalog.substring(j.run, '/(.*)$'), '') OPERATOR(pg_catalog.=) $1
  AND NOT EXISTS (
    SELECT
    FROM af_db.journal AS earlier
    WHERE earlier.id OPERATOR(pg_catalog.<) j.id
      AND (earlier.version IS NOT NULL OR earlier.state OPERATOR(pg_catalog.=) 'opened')
      AND COALESCE(pg_catalog.substring(earlier.run, '/(.*)$'), '') OPERATOR(pg_catalog.=) $1
  )
