CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON docs FOR SELECT TO app_user USING (tenant_id = ANY (nullif(current_setting('app.tenant_ids', true), '')::int[]));
CREATE POLICY i ON docs FOR INSERT TO app_user WITH CHECK (current_setting('app.tenant_ids', true) <> '');
GRANT SELECT, INSERT ON docs TO app_user;
