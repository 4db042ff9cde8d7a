CREATE TABLE fresh (a int);
CREATE INDEX fresh_a ON fresh (a);
DROP INDEX fresh_a;
-- file: 2
-- af-db: no-transaction
DROP INDEX CONCURRENTLY orders_created_idx;
