ALTER TABLE orders SET SCHEMA app; -- !
ALTER SCHEMA app RENAME TO core; -- !
