-- one row when the database comes near the end of its transaction numbers
SELECT
  CASE WHEN age(datfrozenxid) > 1500000000 THEN 'blocking' ELSE 'warning' END AS weight,
  datname::text AS object,
  format('the oldest transaction ID is %s transactions old, of 2 billion at most', age(datfrozenxid)) AS words
FROM pg_catalog.pg_database
WHERE datname = current_database()
  AND age(datfrozenxid) > 1000000000
