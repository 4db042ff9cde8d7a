CREATE POLICY p ON orders USING (a = 1);
ALTER TABLE orders OWNER TO app; -- !
