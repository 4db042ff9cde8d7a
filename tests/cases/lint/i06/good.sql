-- af-db: no-transaction
SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY i ON t (a);
