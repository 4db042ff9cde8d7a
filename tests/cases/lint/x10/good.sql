CREATE TABLE orders (id int PRIMARY KEY);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON orders USING (id = 1);
CREATE VIEW totals WITH (security_invoker = true) AS SELECT count(*) FROM orders;
CREATE VIEW other AS SELECT 1;
