CREATE TABLE visits (site text NOT NULL, at date) PARTITION BY LIST (site);
CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a');
CREATE TABLE visits_b PARTITION OF visits FOR VALUES IN ('b');
CREATE INDEX visits_at ON ONLY visits (at);
CREATE INDEX visits_a_at ON visits_a (at);
CREATE INDEX visits_b_at ON visits_b (at);
ALTER INDEX visits_at ATTACH PARTITION visits_a_at;
ALTER INDEX visits_at ATTACH PARTITION visits_b_at;
