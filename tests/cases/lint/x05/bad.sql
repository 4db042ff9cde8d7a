CREATE POLICY everyone ON orders USING (true); -- !
CREATE POLICY any_insert ON orders FOR INSERT TO anon WITH CHECK ((1 = 1)); -- !
CREATE POLICY half ON orders USING (a = 1 OR true); -- !
CREATE POLICY admins ON orders USING ((auth.jwt() -> 'user_metadata' ->> 'admin')::boolean); -- !
