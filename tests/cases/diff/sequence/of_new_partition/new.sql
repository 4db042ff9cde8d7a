-- A partition takes the sequence of the whole; its own goes.
CREATE TABLE visit (id serial, site text) PARTITION BY LIST (site);
CREATE TABLE visit_a PARTITION OF visit FOR VALUES IN ('a');
