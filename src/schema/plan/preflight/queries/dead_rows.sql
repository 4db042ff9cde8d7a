-- the relations to be changed that hold many dead rows; $1 the relations
SELECT
  'warning' AS weight,
  relation.name AS object,
  format('%s of %s rows are dead', stat.n_dead_tup, stat.n_live_tup + stat.n_dead_tup) AS words
FROM unnest($1::text[]) AS relation (name)
JOIN pg_catalog.pg_stat_all_tables AS stat
  ON stat.relid = to_regclass(relation.name)
WHERE stat.n_dead_tup > 10000
  AND stat.n_dead_tup > stat.n_live_tup * 0.2
ORDER BY 2
