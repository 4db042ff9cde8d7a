CREATE TABLE other (a int);
ALTER TABLE orders ALTER COLUMN qty TYPE bigint; -- !
ALTER TABLE orders
    ALTER note SET DATA TYPE varchar(10) USING left(note, 10), -- !
    ALTER COLUMN c TYPE jsonb USING c::jsonb; -- !
