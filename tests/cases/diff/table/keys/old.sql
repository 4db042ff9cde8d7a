CREATE TABLE customers (id bigint NOT NULL, email text, "a ""b)" text, since date);
CREATE TABLE orders (id bigint NOT NULL, customer_id bigint, total numeric, note text CONSTRAINT note_not_null CHECK (note <> ''));
CREATE TABLE lines (order_id bigint, kind text) PARTITION BY LIST (kind);
CREATE TABLE lines_a PARTITION OF lines FOR VALUES IN ('a');
CREATE VIEW recent AS SELECT id, since FROM customers;
