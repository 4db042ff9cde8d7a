CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers (id)); -- !
ALTER TABLE orders ADD COLUMN b int, ADD FOREIGN KEY (b) REFERENCES c (b); -- !
CREATE INDEX partial_idx ON orders (b) WHERE b > 0;
