-- A column in front has the whole and its partitions made again, rows and indexes with them.
CREATE TABLE visits (site text NOT NULL) PARTITION BY LIST (site);
CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a');
CREATE TABLE visits_rest PARTITION OF visits DEFAULT;
