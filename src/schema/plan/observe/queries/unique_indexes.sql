-- The unique indexes of tables: what must not stand in two rows; in words only where $2 says so, because printing
-- waits for the table's lock.
SELECT
    i.indexrelid AS oid,
    i.indrelid AS relation,
    x.relname AS name,
    pg_catalog.concat_ws('|', i.indnkeyatts, i.indkey, i.indexprs, i.indpred) AS signature,
    CASE WHEN $2 THEN (
        SELECT pg_catalog.array_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k, false) ORDER BY k)
        FROM pg_catalog.generate_series(1, i.indnkeyatts::int) AS k
    ) END AS keys,
    CASE WHEN $2 THEN pg_catalog.pg_get_expr(i.indpred, i.indrelid) END AS predicate,
    CASE WHEN $2 THEN pg_catalog.pg_get_indexdef(i.indexrelid) LIKE '%NULLS NOT DISTINCT%' END AS nulls_collide
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
WHERE i.indrelid = ANY ($1) AND i.indisunique AND NOT i.indisexclusion
ORDER BY i.indrelid, x.relname
