-- A partition that goes while a foreign key refers to the whole.
CREATE TABLE sites (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
CREATE TABLE sites_1 PARTITION OF sites FOR VALUES FROM (1) TO (100);
CREATE TABLE visits (site int REFERENCES sites);
