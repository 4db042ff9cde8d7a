UPDATE orders SET state = 'new' WHERE state IS NULL;
CREATE TABLE fresh (a int);
UPDATE fresh SET a = 1;
CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'UPDATE orders SET a = 1';
