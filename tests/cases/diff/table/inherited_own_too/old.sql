CREATE TABLE whole (id int, b int);
CREATE TABLE child (id int, b int) INHERITS (whole);
CREATE TABLE other (id int) INHERITS (whole);
