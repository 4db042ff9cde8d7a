-- A type that tables hold cannot change where it stands.
CREATE TYPE place AS (x int, name text);
CREATE TABLE seen (id int, at place, all_of place[]);
CREATE VIEW here AS SELECT (at).x FROM seen;
CREATE TYPE free AS (x int);
