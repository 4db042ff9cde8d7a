ALTER TABLE orders ADD CONSTRAINT qty_positive CHECK (qty > 0); -- !
ALTER TABLE orders
    ADD COLUMN a int,
    ADD CHECK (a > 0 AND (b < 1)); -- !
