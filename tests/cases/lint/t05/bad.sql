ALTER TABLE orders ADD COLUMN a int;
UPDATE orders SET a = 1 WHERE b; -- !
