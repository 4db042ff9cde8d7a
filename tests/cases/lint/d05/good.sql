CREATE TABLE fresh (a int);
TRUNCATE fresh;
