ALTER TABLE orders ALTER a TYPE bigint;
ALTER TABLE orders ALTER b TYPE bigint; -- !
