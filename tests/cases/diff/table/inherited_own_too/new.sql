CREATE TABLE whole (id int, c text);
CREATE TABLE child (id int, c text) INHERITS (whole);
CREATE TABLE other (id int) INHERITS (whole);
