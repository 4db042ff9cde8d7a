-- A sequence goes to another column before its own is dropped.
CREATE SEQUENCE counted INCREMENT -1;
CREATE TABLE first_of (a int DEFAULT 7);
CREATE TABLE other (id int, x int DEFAULT currval('counted'));
ALTER SEQUENCE counted OWNED BY other.x;
