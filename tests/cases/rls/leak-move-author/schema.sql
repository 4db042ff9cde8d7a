CREATE TABLE team (member uuid NOT NULL, team_id int NOT NULL, PRIMARY KEY (member, team_id));
CREATE TABLE posts (id int PRIMARY KEY, team_id int NOT NULL, author uuid NOT NULL DEFAULT auth.uid(), body text);
ALTER TABLE team ENABLE ROW LEVEL SECURITY;
ALTER TABLE posts ENABLE ROW LEVEL SECURITY;
CREATE POLICY o ON team FOR SELECT TO authenticated USING (member = auth.uid());
GRANT SELECT ON team TO authenticated;
CREATE POLICY r ON posts FOR SELECT TO authenticated USING (team_id IN (SELECT team_id FROM team WHERE member = auth.uid()));
CREATE POLICY i ON posts FOR INSERT TO authenticated WITH CHECK (author = auth.uid());
GRANT SELECT, INSERT ON posts TO authenticated;
