CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, shard int GENERATED ALWAYS AS (tenant_id % 1000) STORED, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON docs TO app_user USING (shard = nullif(current_setting('app.tenant_id', true), '')::int % 1000 AND tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT, DELETE ON docs TO app_user;
