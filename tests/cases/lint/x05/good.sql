CREATE POLICY own ON orders USING (user_id = auth.uid());
CREATE POLICY limit_all ON orders AS RESTRICTIVE USING (true);
CREATE POLICY service ON orders TO service_role USING (true);
