-- one row: how far the statement of process $1 is, which is $2, and who waits for it
WITH progress AS (
  SELECT p.pid, pg_catalog.format('%s of %s: %s', p.command, p.relid::pg_catalog.regclass, p.phase) AS what, p.blocks_done AS done, p.blocks_total AS total
  FROM pg_catalog.pg_stat_progress_create_index AS p
  UNION ALL
  SELECT p.pid, pg_catalog.format('%s of %s: %s', p.command, p.relid::pg_catalog.regclass, p.phase), p.heap_blks_scanned, p.heap_blks_total
  FROM pg_catalog.pg_stat_progress_cluster AS p
  UNION ALL
  SELECT p.pid, pg_catalog.format('%s of %s', p.command, p.relid::pg_catalog.regclass), p.bytes_processed, p.bytes_total
  FROM pg_catalog.pg_stat_progress_copy AS p
  UNION ALL
  SELECT p.pid, pg_catalog.format('ANALYZE of %s: %s', p.relid::pg_catalog.regclass, p.phase), p.sample_blks_scanned, p.sample_blks_total
  FROM pg_catalog.pg_stat_progress_analyze AS p
  UNION ALL
  SELECT p.pid, pg_catalog.format('VACUUM of %s: %s', p.relid::pg_catalog.regclass, p.phase), p.heap_blks_scanned, p.heap_blks_total
  FROM pg_catalog.pg_stat_progress_vacuum AS p
),
waiting AS (
  SELECT
    activity.pid,
    activity.usename,
    activity.application_name,
    EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - COALESCE(pg_catalog.min(held.waitstart), activity.query_start))::pg_catalog.float8 AS seconds
  FROM pg_catalog.pg_stat_activity AS activity
  LEFT JOIN pg_catalog.pg_locks AS held
    ON held.pid = activity.pid
    AND NOT held.granted
  WHERE activity.pid <> $1
    AND activity.wait_event_type = 'Lock'
    AND $1 = ANY (pg_catalog.pg_blocking_pids(activity.pid))
  GROUP BY activity.pid, activity.usename, activity.application_name, activity.query_start
)
SELECT
  (
    SELECT
      COALESCE(
        progress.what || CASE
          WHEN progress.total > 0 THEN pg_catalog.format(', %s %%', 100 * progress.done / progress.total)
          ELSE ''
        END,
        $2,
        pg_catalog.split_part(pg_catalog.left(pg_catalog.ltrim(activity.query, E' \n'), 60), E'\n', 1)
      )
      || CASE
        WHEN activity.wait_event_type = 'Lock' THEN ', waiting for a lock'
        ELSE ''
      END
      || pg_catalog.format(', %s s', EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - activity.xact_start)::pg_catalog.int8)
    FROM pg_catalog.pg_stat_activity AS activity
    LEFT JOIN progress
      ON progress.pid = activity.pid
    WHERE activity.pid = $1
      AND activity.state = 'active'
  ) AS progress,
  (SELECT pg_catalog.count(*) FROM waiting) AS waiting,
  COALESCE((SELECT pg_catalog.max(seconds) FROM waiting), 0)::pg_catalog.float8 AS longest,
  (
    SELECT pg_catalog.format('process %s of %s (%s)', pid, usename, COALESCE(NULLIF(application_name, ''), 'no application name'))
    FROM waiting
    ORDER BY seconds DESC
    LIMIT 1
  ) AS who
