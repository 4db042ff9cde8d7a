-- file: 1
CREATE TABLE orders (created timestamp NOT NULL);
-- file: 2
ALTER TABLE orders ALTER COLUMN created TYPE timestamptz; -- !
