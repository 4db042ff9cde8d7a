CREATE TABLE fresh (id bigserial PRIMARY KEY);
ALTER TABLE fresh ADD COLUMN number serial;
ALTER TABLE orders ADD COLUMN number bigint;
