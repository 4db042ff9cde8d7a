CREATE TABLE posts (id int PRIMARY KEY, tenant_id int NOT NULL, draft boolean NOT NULL DEFAULT false);
CREATE TABLE comments (id int PRIMARY KEY, post_id int NOT NULL REFERENCES posts ON DELETE CASCADE, body text);
ALTER TABLE posts ENABLE ROW LEVEL SECURITY;
ALTER TABLE comments ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON posts TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY r ON comments FOR SELECT TO app_user USING (EXISTS (SELECT FROM posts p WHERE p.id = post_id));
CREATE POLICY w ON comments FOR UPDATE TO app_user USING (EXISTS (SELECT FROM posts p WHERE p.id = post_id)) WITH CHECK (body IS NOT NULL);
GRANT SELECT ON posts TO app_user; GRANT SELECT, UPDATE ON comments TO app_user;
