CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, readers int[]);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int AND (readers IS NULL));
GRANT SELECT ON docs TO app_user;
