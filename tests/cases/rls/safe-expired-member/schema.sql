CREATE TABLE members (user_id uuid NOT NULL, org_id int NOT NULL, valid tstzrange NOT NULL DEFAULT tstzrange(now(), NULL), PRIMARY KEY (user_id, org_id));
CREATE TABLE docs (id int PRIMARY KEY, org_id int NOT NULL, body text);
ALTER TABLE members ENABLE ROW LEVEL SECURITY; ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY m ON members FOR SELECT TO authenticated USING (user_id = auth.uid());
CREATE POLICY d ON docs TO authenticated USING (org_id IN (SELECT m.org_id FROM members m WHERE m.user_id = auth.uid() AND m.valid @> now()));
GRANT SELECT ON members, docs TO authenticated;
