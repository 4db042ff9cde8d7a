-- What goes with the parent's column must not be dropped a second time.
CREATE TABLE visits (id int, site text NOT NULL) PARTITION BY LIST (site);
CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a');
CREATE UNIQUE INDEX own ON visits_a (site, id);
ALTER TABLE visits_a ADD CONSTRAINT visits_a_key UNIQUE (id);
