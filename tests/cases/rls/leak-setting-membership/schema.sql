CREATE TABLE members (user_id int NOT NULL, org_id int NOT NULL, role text NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')), PRIMARY KEY (user_id, org_id));
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE TABLE docs (id int PRIMARY KEY, org_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY m ON members FOR SELECT TO app_user USING (user_id = nullif(current_setting('app.user_id', true), '')::int);
CREATE POLICY r ON docs FOR SELECT TO app_user USING (EXISTS (SELECT FROM members m WHERE m.org_id = m.org_id));
GRANT SELECT ON members, docs TO app_user;

