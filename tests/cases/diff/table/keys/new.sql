CREATE TABLE customers (
    id bigint PRIMARY KEY,
    email text NOT NULL UNIQUE,
    "a ""b)" text,
    since timestamptz NOT NULL,
    UNIQUE ("a ""b)", since) INCLUDE (id) DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON CONSTRAINT customers_email_key ON customers IS 'one account an address';
CREATE TABLE orders (
    id bigint NOT NULL,
    customer_id bigint NOT NULL CONSTRAINT orders_customer REFERENCES customers ON DELETE CASCADE,
    total numeric CONSTRAINT total_positive CHECK (total > 0),
    note text NOT NULL CONSTRAINT note_not_null CHECK (note <> ''),
    CONSTRAINT orders_pk PRIMARY KEY (id, customer_id)
);
COMMENT ON CONSTRAINT total_positive ON orders IS 'nothing is free';
CREATE TABLE lines (order_id bigint NOT NULL CONSTRAINT order_known CHECK (order_id > 0), kind text) PARTITION BY LIST (kind);
CREATE TABLE lines_a PARTITION OF lines FOR VALUES IN ('a');
CREATE VIEW recent AS SELECT id, since FROM customers;
