ALTER TABLE orders ADD COLUMN total int GENERATED ALWAYS AS (qty * price) STORED; -- !
