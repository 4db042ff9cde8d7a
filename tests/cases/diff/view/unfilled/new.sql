CREATE TABLE sales (id int PRIMARY KEY, amount numeric);
CREATE MATERIALIZED VIEW totals AS SELECT sum(amount) AS total, count(*) AS sales FROM sales WITH NO DATA;
CREATE UNIQUE INDEX totals_total ON totals (total);
CREATE MATERIALIZED VIEW later AS SELECT id FROM sales WITH NO DATA;
CREATE INDEX later_id ON later (id);
