CREATE INDEX orders_created_idx ON orders (created); -- !
CREATE UNIQUE INDEX IF NOT EXISTS i ON app.orders USING btree (a, lower(b)) WHERE c; -- !
