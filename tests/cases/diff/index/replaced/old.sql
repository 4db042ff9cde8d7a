CREATE TABLE t (a int, b text, c text);
CREATE INDEX by_a ON t (a);
CREATE INDEX gone ON t (b);
CREATE UNIQUE INDEX "odd ""name" ON t (a, b);
CREATE UNIQUE INDEX referred ON t (c);
CREATE TABLE u (c text REFERENCES t (c));
CREATE MATERIALIZED VIEW m AS SELECT a, b FROM t;
CREATE INDEX m_a ON m (a);
