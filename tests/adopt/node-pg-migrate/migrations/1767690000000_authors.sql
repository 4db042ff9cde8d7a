-- Up Migration
ALTER TABLE books ADD COLUMN author text;
-- Down Migration
ALTER TABLE books DROP COLUMN author;
