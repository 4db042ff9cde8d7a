CREATE TABLE members (user_id uuid NOT NULL, org_id int NOT NULL, role text NOT NULL DEFAULT 'member', status text NOT NULL DEFAULT 'active', PRIMARY KEY (user_id, org_id));
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE TABLE docs (id int PRIMARY KEY, org_id int NOT NULL, body text NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY o ON members FOR SELECT TO authenticated USING (user_id=auth.uid());
CREATE POLICY p ON docs TO authenticated USING (org_id IN (SELECT m.org_id FROM members m WHERE m.user_id=auth.uid()));
GRANT SELECT ON members, docs TO authenticated;
