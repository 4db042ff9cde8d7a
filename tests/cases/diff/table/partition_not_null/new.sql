CREATE TABLE visits (site text, at date, n bigint) PARTITION BY LIST (site);
ALTER TABLE visits ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;
CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a');
CREATE TABLE visits_b PARTITION OF visits (at NOT NULL) FOR VALUES IN ('b');
