-- Attaching would take the partition's own index for the one that belongs to the whole.
CREATE SCHEMA archive;
CREATE TABLE visits (site text NOT NULL, at date) PARTITION BY LIST (site);
CREATE INDEX visits_site_at ON visits (site, at);
CREATE TABLE archive.visits_a (site text NOT NULL, at date);
CREATE INDEX own ON archive.visits_a (site, at);
