DROP VIEW totals; -- !
DROP MATERIALIZED VIEW IF EXISTS daily; -- !
DROP FUNCTION shop.total(int); -- !
DROP VIEW kept, gone; -- !
CREATE VIEW kept AS SELECT 1;
