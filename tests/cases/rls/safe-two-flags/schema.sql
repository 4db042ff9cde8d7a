CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, is_active boolean NOT NULL DEFAULT true, is_private boolean NOT NULL DEFAULT true);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int AND (is_active AND NOT is_private));
GRANT SELECT ON docs TO app_user;
