-- Up Migration
CREATE INDEX books_author_idx ON books (author);
-- Down Migration
DROP INDEX books_author_idx;
