CREATE TABLE members (user_id uuid NOT NULL, org_id int NOT NULL, role text NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')), PRIMARY KEY (user_id, org_id));
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE TABLE docs (id int PRIMARY KEY, org_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY m ON members FOR SELECT TO authenticated USING (user_id = auth.uid());
CREATE POLICY r ON docs FOR SELECT TO authenticated USING (org_id IN (SELECT m.org_id FROM members m WHERE m.user_id = auth.uid()));
GRANT SELECT ON members TO authenticated;
CREATE POLICY w ON docs FOR UPDATE TO authenticated USING (EXISTS (SELECT FROM members m WHERE m.user_id = auth.uid() AND m.role = 'admin'));
GRANT SELECT, UPDATE ON docs TO authenticated;
