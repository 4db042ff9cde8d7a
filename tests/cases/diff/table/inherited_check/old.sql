-- A check that a child declares too outlives that of its parent.
CREATE TABLE whole (a int, CONSTRAINT lower CHECK (a > 0));
CREATE TABLE own (CONSTRAINT lower CHECK (a > 0)) INHERITS (whole);
CREATE TABLE taken () INHERITS (whole);
