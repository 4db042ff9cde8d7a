CREATE TABLE visits (site text NOT NULL, id int NOT NULL) PARTITION BY LIST (site);
CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a');
CREATE UNIQUE INDEX visits_site_id ON ONLY visits (site, id);
ALTER TABLE visits_a ADD CONSTRAINT visits_a_key PRIMARY KEY (site, id);
ALTER INDEX visits_site_id ATTACH PARTITION visits_a_key;
CREATE TABLE notes (site text, visit int, FOREIGN KEY (site, visit) REFERENCES visits_a (site, id));
