-- af-db: no-transaction
REINDEX TABLE CONCURRENTLY orders;
