CREATE TABLE fresh (a int);
CREATE INDEX ON fresh (a);
CREATE INDEX whole_idx ON ONLY events (a);
-- file: 2
-- af-db: no-transaction
CREATE INDEX CONCURRENTLY orders_created_idx ON orders (created);
