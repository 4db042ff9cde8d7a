-- How large tables are and how busy, as the server last counted; takes no lock on them.
SELECT
    w.name,
    c.reltuples::pg_catalog.float8 AS rows,
    8192 * (
        greatest(c.relpages, 0)::pg_catalog.int8
        + coalesce((SELECT greatest(t.relpages, 0) FROM pg_catalog.pg_class AS t WHERE t.oid = c.reltoastrelid), 0)
    ) AS bytes,
    8192 * coalesce((
        SELECT sum(x.relpages)
        FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
        WHERE i.indrelid = c.oid
    ), 0)::pg_catalog.int8 AS index_bytes,
    (
        pg_catalog.pg_stat_get_tuples_inserted(c.oid)
        + pg_catalog.pg_stat_get_tuples_updated(c.oid)
        + pg_catalog.pg_stat_get_tuples_deleted(c.oid)
    )::pg_catalog.float8 AS writes,
    extract(epoch FROM pg_catalog.now() - coalesce(d.stats_reset, pg_catalog.pg_postmaster_start_time()))::pg_catalog.float8
        AS seconds
FROM pg_catalog.unnest($1::pg_catalog.text[]) AS w (name)
JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(w.name)
LEFT JOIN pg_catalog.pg_stat_database AS d ON d.datname = pg_catalog.current_database()
