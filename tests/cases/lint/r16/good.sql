-- af-db: no-transaction
VACUUM (ANALYZE) orders;
