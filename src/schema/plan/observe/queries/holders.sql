-- A table, for each of these composite types, that has a column of it.
SELECT t.typrelid AS type, min(c.oid) AS holder
FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_attribute AS a ON a.atttypid IN (t.oid, t.typarray) AND NOT a.attisdropped
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'm')
WHERE t.typrelid = ANY ($1)
GROUP BY t.typrelid
