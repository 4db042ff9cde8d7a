-- One row a version that goose knows: number, no checksum, time, state by its newest row.
SELECT
  version_id::text,
  NULL::text,
  pg_catalog.to_char(pg_catalog.max(tstamp), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  CASE WHEN (pg_catalog.array_agg(is_applied ORDER BY id DESC))[1] THEN 'applied' ELSE 'reverted' END
FROM {}
WHERE version_id OPERATOR(pg_catalog.>) 0
GROUP BY version_id
ORDER BY version_id
