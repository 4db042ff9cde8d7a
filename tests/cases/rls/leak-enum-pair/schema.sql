CREATE TYPE stage AS ENUM ('new','open','closed');
CREATE TYPE lane AS ENUM ('slow','fast');
CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, stage stage NOT NULL, lane lane NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR (stage = 'closed' AND lane <> 'slow'));
GRANT SELECT ON docs TO app_user;
