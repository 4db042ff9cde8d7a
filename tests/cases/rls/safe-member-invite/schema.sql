CREATE TABLE orgs (id int PRIMARY KEY);
CREATE TABLE members (org_id int REFERENCES orgs, user_id uuid, level text NOT NULL DEFAULT 'viewer' CHECK (level IN ('viewer','editor','owner')), PRIMARY KEY (org_id, user_id));
CREATE TABLE docs (id int PRIMARY KEY, org_id int NOT NULL REFERENCES orgs, body text);
CREATE TABLE invites (id int PRIMARY KEY, org_id int NOT NULL REFERENCES orgs, email text, token uuid NOT NULL DEFAULT gen_random_uuid());
ALTER TABLE orgs ENABLE ROW LEVEL SECURITY;
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
ALTER TABLE invites ENABLE ROW LEVEL SECURITY;

CREATE POLICY m ON members FOR SELECT TO authenticated USING (user_id = auth.uid());
CREATE POLICY d ON docs TO authenticated USING (org_id IN (SELECT org_id FROM members WHERE user_id = auth.uid()));
CREATE POLICY i ON invites TO authenticated USING (org_id IN (SELECT m.org_id FROM members m WHERE m.user_id = auth.uid() AND m.level = 'owner' AND m.org_id = invites.org_id));
GRANT SELECT ON members, docs TO authenticated; GRANT SELECT, INSERT ON invites TO authenticated;
