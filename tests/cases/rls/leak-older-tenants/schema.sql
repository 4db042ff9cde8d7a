CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs FOR SELECT TO app_user USING (tenant_id <= nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT ON docs TO app_user;
