CREATE TABLE seen (id int, kind text, at date, PRIMARY KEY (id, kind, at)) PARTITION BY LIST (kind);
CREATE TABLE seen_a PARTITION OF seen FOR VALUES IN ('a') PARTITION BY RANGE (at);
CREATE TABLE seen_a_26 PARTITION OF seen_a FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE seen_rest PARTITION OF seen DEFAULT;
CREATE INDEX seen_at_idx ON seen (at);
CREATE TABLE note (id int, kind text, at date, FOREIGN KEY (id, kind, at) REFERENCES seen);
