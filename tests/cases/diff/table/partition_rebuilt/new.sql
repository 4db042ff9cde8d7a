CREATE TABLE visits (id int, site text NOT NULL) PARTITION BY LIST (site);
CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a');
CREATE TABLE visits_rest PARTITION OF visits DEFAULT;
CREATE INDEX visits_id_site ON visits (id, site);
CREATE UNIQUE INDEX own ON visits_a (site, id);
