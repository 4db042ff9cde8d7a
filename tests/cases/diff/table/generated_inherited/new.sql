CREATE TABLE whole (a int, twice int GENERATED ALWAYS AS (a * 4) STORED);
CREATE TABLE own (a int, twice int) INHERITS (whole);
CREATE TABLE taken () INHERITS (whole);
CREATE TABLE below () INHERITS (own);
