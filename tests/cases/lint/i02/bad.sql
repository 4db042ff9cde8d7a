DROP INDEX orders_created_idx; -- !
DROP INDEX IF EXISTS app.i; -- !
