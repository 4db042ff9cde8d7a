-- One row a foreign key between two tables of schema $1: the table, the table it needs, whether it can wait.
SELECT
  f.relname::text AS "from",
  t.relname::text AS "to",
  k.condeferrable AS deferrable
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS f ON f.oid OPERATOR(pg_catalog.=) k.conrelid
JOIN pg_catalog.pg_class AS t ON t.oid OPERATOR(pg_catalog.=) k.confrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) f.relnamespace
WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND n.nspname OPERATOR(pg_catalog.=) $1
  AND f.oid OPERATOR(pg_catalog.<>) t.oid
ORDER BY 1, 2
