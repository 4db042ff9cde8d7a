-- file: 1
CREATE TABLE orders (qty int, name text);
-- file: 2
ALTER TABLE orders
    ALTER COLUMN qty TYPE smallint, -- !
    ALTER name TYPE varchar(10) USING left(name, 10); -- !
