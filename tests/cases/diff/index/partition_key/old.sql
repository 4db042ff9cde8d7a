-- The key of a partition belongs to an index of the whole that is no key itself.
CREATE TABLE visits (site text NOT NULL, id int NOT NULL) PARTITION BY LIST (site);
CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a');
CREATE TABLE notes (site text, visit int);
