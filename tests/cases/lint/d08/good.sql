DELETE FROM orders WHERE created < '2020-01-01';
CREATE TABLE fresh (a int);
DELETE FROM fresh;
