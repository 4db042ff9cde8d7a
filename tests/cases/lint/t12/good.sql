-- af-db: no-transaction
SET statement_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS i;
CREATE INDEX CONCURRENTLY i ON t (a);
