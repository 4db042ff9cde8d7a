ALTER TABLE orders ADD COLUMN a int;
UPDATE other SET a = 1 WHERE b;
CREATE TABLE fresh (a int);
ALTER TABLE fresh ADD COLUMN b int;
UPDATE fresh SET b = 1 WHERE a = 1;
