CREATE TYPE place AS (x bigint, name varchar(20));
CREATE TABLE seen (id int, at place, all_of place[]);
CREATE VIEW here AS SELECT (at).x FROM seen;
CREATE TYPE free AS (x bigint);
