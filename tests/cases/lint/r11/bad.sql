ALTER TABLE users ALTER COLUMN name TYPE text COLLATE "C"; -- !
-- file: 1
CREATE TABLE people (email text);
-- file: 2
ALTER TABLE people ALTER COLUMN email TYPE citext; -- !
