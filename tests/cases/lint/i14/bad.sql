CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders; -- !
CREATE TABLE copy AS SELECT * FROM orders; -- !
