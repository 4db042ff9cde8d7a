CREATE TABLE fresh (a int);
DROP TABLE fresh;
DROP VIEW v;
