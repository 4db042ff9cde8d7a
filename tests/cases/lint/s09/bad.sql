-- file: 1
CREATE TABLE orders (id int);
-- file: 2
-- af-db: no-transaction
CREATE UNIQUE INDEX CONCURRENTLY orders_id_idx ON orders (id);
-- file: 3
ALTER TABLE orders ADD PRIMARY KEY USING INDEX orders_id_idx; -- !
