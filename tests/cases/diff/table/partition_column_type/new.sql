CREATE TABLE site (id int PRIMARY KEY);
CREATE TABLE visit (site bigint REFERENCES site, "At" bigint) PARTITION BY RANGE (site, ("At" + 1));
CREATE TABLE visit_low PARTITION OF visit FOR VALUES FROM (0, 0) TO (10, 0);
