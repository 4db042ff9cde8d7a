ALTER TABLE orders RENAME TO purchases;
CREATE VIEW orders AS SELECT * FROM purchases;
ALTER INDEX a RENAME TO b;
CREATE TABLE fresh (a int);
ALTER TABLE fresh RENAME TO fresher;
