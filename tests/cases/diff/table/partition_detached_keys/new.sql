CREATE TABLE sites (id int PRIMARY KEY);
CREATE TABLE visits (site int REFERENCES sites, at date) PARTITION BY RANGE (at);
CREATE TABLE visits_1 (site int, at date);
