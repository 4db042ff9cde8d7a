-- file: 1
CREATE TABLE orders (created timestamptz NOT NULL, name varchar(10));
-- file: 2
ALTER TABLE orders ALTER COLUMN created TYPE timestamptz;
ALTER TABLE orders ALTER COLUMN name TYPE varchar(20);
