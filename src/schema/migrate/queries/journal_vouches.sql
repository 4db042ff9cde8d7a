-- what the newest row about a version being applied says, by version; $1 the tenant's schema, or nothing
SELECT
  j.version,
  j.name,
  j.up_sha256,
  j.state IN ('applied', 'baselined')
    -- a migration that was taken out of the history is repaired without its file
    OR (j.state OPERATOR(pg_catalog.=) 'repaired' AND j.up_sha256 IS NOT NULL) AS is_applied
FROM (
  SELECT DISTINCT ON (version) version, name, state, up_sha256
  FROM af_db.journal
  WHERE version IS NOT NULL
    AND state IN ('applied', 'baselined', 'reverted', 'repaired')
    -- what was begun and said to be undone had never been applied
    AND NOT (state OPERATOR(pg_catalog.=) 'repaired' AND statement IS NOT NULL)
    AND COALESCE(pg_catalog.substring(run, '/(.*)$'), '') OPERATOR(pg_catalog.=) $1
  ORDER BY version, id DESC
) AS j
ORDER BY j.version
