CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, deleted_at timestamptz);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int AND (deleted_at IS NOT NULL));
GRANT SELECT ON docs TO app_user;
