-- What a bare ANALYZE looks at, the biggest first; partitions come with the table they are of.
SELECT
    n.nspname::pg_catalog.text AS schema,
    c.relname::pg_catalog.text AS name,
    CASE c.relkind
        WHEN 'p' THEN (
            SELECT coalesce(sum(pg_catalog.pg_relation_size(t.relid)), 0)::pg_catalog.int8
            FROM pg_catalog.pg_partition_tree(c.oid) AS t
        )
        ELSE pg_catalog.pg_relation_size(c.oid)
    END AS size
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE
    c.relkind IN ('r', 'p', 'm')
    AND c.relpersistence <> 't'
    AND NOT c.relispartition
    AND n.nspname <> 'pg_toast'
    AND c.oid <> 'pg_catalog.pg_statistic'::pg_catalog.regclass
    AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
ORDER BY size DESC, schema, name
