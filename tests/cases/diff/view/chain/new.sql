CREATE TABLE t (a bigint, b text);
CREATE VIEW one WITH (security_barrier) AS SELECT b, a FROM t;
CREATE VIEW two AS SELECT a FROM one;
CREATE MATERIALIZED VIEW three AS SELECT a FROM two;
CREATE UNIQUE INDEX ON three (a);
COMMENT ON VIEW two IS 'the second';
