CREATE TABLE t (a int, b text, c text);
CREATE INDEX by_a ON t (a) WHERE a > 0;
COMMENT ON INDEX by_a IS 'only what counts';
CREATE UNIQUE INDEX "odd ""name" ON t (a, b) INCLUDE (c);
CREATE UNIQUE INDEX referred ON t (c) INCLUDE (a);
CREATE TABLE u (c text REFERENCES t (c));
CREATE MATERIALIZED VIEW m AS SELECT a, b FROM t;
CREATE INDEX m_a ON m (a, b);
CREATE INDEX m_b ON m (b);
