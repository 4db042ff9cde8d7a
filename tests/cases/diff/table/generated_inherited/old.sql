-- A column that a child declares too outlives that of its parent.
CREATE TABLE whole (a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE own (a int, twice int) INHERITS (whole);
CREATE TABLE taken () INHERITS (whole);
CREATE TABLE below () INHERITS (own);
