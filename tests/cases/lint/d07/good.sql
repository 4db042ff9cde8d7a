-- file: 1
CREATE TABLE orders (qty int, name varchar(10));
-- file: 2
ALTER TABLE orders ALTER COLUMN qty TYPE bigint, ALTER name TYPE text;
