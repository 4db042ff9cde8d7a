-- the sessions that wait for a lock on a relation to be changed; $1 the relations
SELECT
  'warning' AS weight,
  relation.name AS object,
  format('sessions waiting for a lock: %s', count(DISTINCT held.pid)) AS words
FROM unnest($1::text[]) AS relation (name)
JOIN pg_catalog.pg_locks AS held
  ON held.relation = to_regclass(relation.name)
WHERE NOT held.granted
GROUP BY relation.name
ORDER BY 2
