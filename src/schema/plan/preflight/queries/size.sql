-- one row: how large the database is
SELECT
  'note' AS weight,
  current_database()::text AS object,
  format('%s', pg_size_pretty(pg_database_size(current_database()))) AS words
