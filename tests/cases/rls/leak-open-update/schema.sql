CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, slug text NOT NULL UNIQUE, n int NOT NULL DEFAULT 0);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON docs FOR SELECT TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY i ON docs FOR INSERT TO app_user WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT, INSERT ON docs TO app_user;
