ALTER TABLE orders RENAME COLUMN note TO remark; -- !
ALTER TABLE orders RENAME a TO b; -- !
