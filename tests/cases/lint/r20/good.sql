ALTER TABLE orders ALTER a TYPE bigint, ALTER b TYPE bigint;
ALTER TABLE other ALTER a TYPE bigint;
