-- The constraints of tables that rows can be at odds with; expressions only where $2 says so, because printing one
-- waits for the table's lock.
SELECT
    c.oid,
    c.conrelid AS relation,
    c.conname AS name,
    c.contype::pg_catalog.text AS kind,
    CASE WHEN c.contype = 'c' AND $2 THEN pg_catalog.pg_get_expr(c.conbin, c.conrelid) END AS expression,
    c.conkey AS columns,
    (
        SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY k.place)
        FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number
    ) AS names,
    c.confrelid AS referenced,
    (
        SELECT pg_catalog.format('%I.%I', n.nspname, r.relname)
        FROM pg_catalog.pg_class AS r
        JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
        WHERE r.oid = c.confrelid
    ) AS referenced_name,
    (
        SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY k.place)
        FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.number
    ) AS referenced_names
FROM pg_catalog.pg_constraint AS c
WHERE c.conrelid = ANY ($1) AND c.contype IN ('c', 'f', 'x') AND c.convalidated
UNION ALL
-- What the domain of a column asks of its values, and what type it is made of. By itself for each column: the server, which
-- knows little of a fresh catalog, would read all constraints there are.
SELECT
    c.oid,
    a.attrelid,
    c.conname,
    'd',
    CASE WHEN $2 THEN pg_catalog.pg_get_expr(c.conbin, 0) END,
    ARRAY[a.attnum],
    ARRAY[a.attname::pg_catalog.text],
    0::pg_catalog.oid,
    NULL,
    ARRAY[pg_catalog.format_type(c.typbasetype, c.typtypmod)]
FROM pg_catalog.pg_attribute AS a
CROSS JOIN LATERAL (
    SELECT k.oid, k.conname, k.conbin, t.typbasetype, t.typtypmod
    FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_constraint AS k ON k.contypid = t.oid AND k.contype = 'c' AND k.convalidated
    WHERE t.oid = a.atttypid AND t.typtype = 'd'
    OFFSET 0
) AS c
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY relation, name, columns
