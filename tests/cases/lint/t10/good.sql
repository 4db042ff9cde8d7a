-- af-db: no-transaction
VACUUM orders;
