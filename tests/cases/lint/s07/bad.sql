ALTER TABLE users ADD COLUMN handle text UNIQUE; -- !
ALTER TABLE users ADD id bigint PRIMARY KEY; -- !
