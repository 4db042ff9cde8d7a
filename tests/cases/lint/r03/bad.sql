ALTER TABLE orders ADD COLUMN number bigserial; -- !
ALTER TABLE orders ADD number SERIAL4 NOT NULL; -- !
