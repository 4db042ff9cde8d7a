CREATE TABLE profiles (id uuid PRIMARY KEY, org_id int NOT NULL, full_name text);
ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY o ON profiles TO authenticated USING (id=auth.uid());
GRANT SELECT, UPDATE ON profiles TO authenticated;
CREATE TABLE docs (id int PRIMARY KEY, org_id int NOT NULL, body text NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO authenticated USING (org_id = (SELECT p.org_id FROM profiles p WHERE p.id=auth.uid()));
GRANT SELECT ON docs TO authenticated;
