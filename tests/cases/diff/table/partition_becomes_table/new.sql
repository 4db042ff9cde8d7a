CREATE TABLE sites (id int NOT NULL, name text, UNIQUE (name, id));
CREATE INDEX sites_id ON sites (id);
CREATE TABLE sites_a (id int NOT NULL, name text);
CREATE INDEX sites_a_id_idx ON sites (id);
CREATE TABLE visits (site text, id int);
CREATE TABLE visits_a (site text, id int);
ALTER TABLE visits ADD CONSTRAINT visits_site FOREIGN KEY (site, id) REFERENCES sites (name, id);
