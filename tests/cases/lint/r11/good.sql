ALTER TABLE users ALTER COLUMN name TYPE text;
CREATE TABLE fresh (email text);
ALTER TABLE fresh ALTER COLUMN email TYPE citext;
