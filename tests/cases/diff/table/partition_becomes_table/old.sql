-- The whole and its partition become two tables that refer to each other, and back.
CREATE TABLE sites (id int NOT NULL, name text, UNIQUE (name, id)) PARTITION BY LIST (name);
CREATE INDEX sites_id ON sites (id);
CREATE TABLE sites_a PARTITION OF sites FOR VALUES IN ('a');
CREATE TABLE visits (site text, id int) PARTITION BY LIST (site);
CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a');
ALTER TABLE visits ADD CONSTRAINT visits_site FOREIGN KEY (site, id) REFERENCES sites (name, id);
