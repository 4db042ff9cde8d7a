ALTER TABLE orders DROP COLUMN note; -- !
ALTER TABLE orders
    ADD a int,
    DROP IF EXISTS b CASCADE; -- !
