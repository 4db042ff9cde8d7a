CREATE TABLE seen (id bigint, kind text, at timestamp, PRIMARY KEY (id, kind, at)) PARTITION BY LIST (kind);
CREATE TABLE seen_a PARTITION OF seen FOR VALUES IN ('a') PARTITION BY RANGE (at);
CREATE TABLE seen_a_26 PARTITION OF seen_a FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE seen_rest PARTITION OF seen DEFAULT;
CREATE INDEX seen_at_idx ON seen (at, id);
CREATE TABLE note (id bigint, kind text, at timestamp, FOREIGN KEY (id, kind, at) REFERENCES seen);
