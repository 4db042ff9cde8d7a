-- one row when the database comes near the end of its transaction numbers
SELECT
  CASE WHEN age(datfrozenxid) > 1500000000 THEN 'blocking' ELSE 'warning' END AS weight,
  datname::text AS object,
  format('its oldest transaction is %s transactions ago, of two thousand million at most', age(datfrozenxid)) AS words
FROM pg_catalog.pg_database
WHERE datname = current_database()
  AND age(datfrozenxid) > 1000000000
