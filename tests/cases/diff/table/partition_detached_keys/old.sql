-- What a partition had from the whole, it has no more when it stands alone.
CREATE TABLE sites (id int PRIMARY KEY);
CREATE TABLE visits (site int REFERENCES sites, at date) PARTITION BY RANGE (at);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
