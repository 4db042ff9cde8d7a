CREATE TABLE sales (id int PRIMARY KEY, amount numeric);
CREATE MATERIALIZED VIEW totals AS SELECT sum(amount) AS total FROM sales WITH NO DATA;
