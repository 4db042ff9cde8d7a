CREATE TABLE whole (a int, CONSTRAINT more CHECK (a > 1));
CREATE TABLE own (CONSTRAINT more CHECK (a > 1)) INHERITS (whole);
CREATE TABLE taken () INHERITS (whole);
