ALTER TABLE users ADD COLUMN handle text;
CREATE TABLE fresh (a int);
ALTER TABLE fresh ADD COLUMN b int UNIQUE;
