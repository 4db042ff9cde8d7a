CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON docs FOR SELECT TO app_user USING (true);
CREATE POLICY w ON docs FOR UPDATE TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT (id), UPDATE (body) ON docs TO app_user;
