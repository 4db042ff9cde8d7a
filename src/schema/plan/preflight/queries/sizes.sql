-- how large the relations to be changed are, the largest first; $1 the relations
SELECT
  'note' AS weight,
  relation.name AS object,
  format(
    '%s with its indexes, about %s rows',
    pg_size_pretty(pg_total_relation_size(class.oid)),
    GREATEST(class.reltuples, 0)::bigint
  ) AS words
FROM unnest($1::text[]) AS relation (name)
JOIN pg_catalog.pg_class AS class
  ON class.oid = to_regclass(relation.name)
WHERE class.relkind IN ('r', 'm', 'p')
ORDER BY pg_total_relation_size(class.oid) DESC, 2
