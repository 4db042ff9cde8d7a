ALTER TABLE orders ALTER COLUMN code TYPE text;
ANALYZE orders;
CREATE TABLE fresh (a int);
ALTER TABLE fresh ALTER a TYPE text;
