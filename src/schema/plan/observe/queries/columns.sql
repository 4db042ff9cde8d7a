-- The columns of tables, as far as rows can be at odds with them.
SELECT
    a.attrelid AS relation,
    a.attnum AS number,
    a.attname AS name,
    (a.attnotnull OR t.typnotnull) AS not_null,
    pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
    t.typcategory::pg_catalog.text AS category,
    (a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '') AS filled
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
