ALTER TABLE orders RENAME TO purchases; -- !
ALTER VIEW totals RENAME TO sums; -- !
