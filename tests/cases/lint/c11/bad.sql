ALTER TABLE orders ADD COLUMN extra json; -- !
CREATE TABLE t (
    a int,
    b json NOT NULL -- !
);
