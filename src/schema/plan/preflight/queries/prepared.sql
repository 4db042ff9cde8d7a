-- the prepared transactions of this database, which hold their locks until somebody ends them
SELECT
  'blocking' AS weight,
  format('prepared transaction %s', prepared.gid) AS object,
  format('%s has held its locks since %s', prepared.owner, date_trunc('second', prepared.prepared)) AS words
FROM pg_catalog.pg_prepared_xacts AS prepared
WHERE prepared.database = current_database()
ORDER BY prepared.prepared
