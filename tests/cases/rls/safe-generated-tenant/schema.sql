CREATE TABLE docs (id int PRIMARY KEY, data jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object' AND data ? 'tenant'), tenant_id int GENERATED ALWAYS AS ((data ->> 'tenant')::int) STORED);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int AND tenant_id IS NOT NULL);
GRANT SELECT ON docs TO app_user;
