-- The tables whose rows are deleted, or lose their references, when rows of these tables ($1) are deleted; those that
-- are deleted first, then by name.
--
-- The copies of a key that the partitions of a referencing table have say nothing new; those for partitions of the
-- referenced one come last.
WITH RECURSIVE keys AS (
    SELECT c.conrelid, c.confrelid, c.conname, c.confdeltype, p.oid IS NOT NULL AS is_copy
    FROM pg_catalog.pg_constraint AS c
    LEFT JOIN pg_catalog.pg_constraint AS p ON p.oid = c.conparentid
    WHERE
        pg_catalog.current_setting('session_replication_role') <> 'replica'
        AND c.contype = 'f'
        AND c.confdeltype IN ('c', 'n', 'd')
        AND (p.oid IS NULL OR p.conrelid = c.conrelid)
),
gone AS (
    SELECT k.* FROM keys AS k WHERE k.confrelid = ANY ($1)
    UNION
    SELECT k.* FROM gone AS g JOIN keys AS k ON k.confrelid = g.conrelid WHERE g.confdeltype = 'c'
)
SELECT
    g.conrelid AS relation,
    g.confrelid AS with,
    g.conname AS key,
    g.confdeltype = 'c' AS deletes
FROM gone AS g
JOIN pg_catalog.pg_class AS c ON c.oid = g.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY deletes DESC, g.is_copy, n.nspname, c.relname, g.conname
