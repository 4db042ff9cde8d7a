-- Up Migration
CREATE TABLE books (id serial PRIMARY KEY, title text NOT NULL);
-- Down Migration
DROP TABLE books;
