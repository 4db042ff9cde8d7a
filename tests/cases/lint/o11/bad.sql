ALTER TABLE orders ALTER COLUMN code TYPE text; -- !
