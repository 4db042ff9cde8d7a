-- What the bounds of partitions ask of their rows; a default partition also gives way to its sisters. In words only
-- where $2 says so, because printing waits for the table's lock.
SELECT
    c.oid AS relation,
    pg_catalog.concat_ws('|', c.relpartbound, (
        SELECT pg_catalog.string_agg(s.inhrelid::pg_catalog.text, ',' ORDER BY s.inhrelid)
        FROM pg_catalog.pg_inherits AS s
        JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = s.inhparent AND p.partdefid = c.oid
    )) AS signature,
    CASE WHEN $2 THEN pg_catalog.pg_get_partition_constraintdef(c.oid) END AS expression
FROM pg_catalog.pg_class AS c
WHERE c.oid = ANY ($1) AND c.relispartition AND c.relkind = 'r'
