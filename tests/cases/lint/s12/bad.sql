ALTER TABLE orders VALIDATE CONSTRAINT amount_positive; -- !
CREATE TABLE more (a int);
