CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int AND (created_at < now() - interval '30 days'));
GRANT SELECT ON docs TO app_user;
