-- One row: what of a live database matters to the proof and is not in its schema.
SELECT
    pg_catalog.current_setting('server_version_num')::int8 AS version,
    ARRAY(SELECT pg_catalog.pg_get_userbyid(l.lomowner)::text FROM pg_catalog.pg_largeobject_metadata l
          GROUP BY 1 ORDER BY pg_catalog.count(*) DESC) AS owners,
    ARRAY(SELECT s.schemaname || '.' || s.tablename FROM pg_catalog.pg_stats s
          WHERE s.attname = $1 AND (s.most_common_vals IS NOT NULL OR s.histogram_bounds IS NOT NULL OR s.n_distinct <> 0)
          ORDER BY 1) AS analysed
