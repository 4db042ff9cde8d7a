CREATE TABLE kept (a int, b int);
