-- A partition says more of its columns and checks than the whole does.
CREATE TABLE visits (site text, at date NOT NULL, n int NOT NULL) PARTITION BY LIST (site);
CREATE TABLE visits_a PARTITION OF visits (site NOT NULL) FOR VALUES IN ('a');
CREATE TABLE visits_b PARTITION OF visits FOR VALUES IN ('b');
