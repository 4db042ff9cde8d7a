CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT ON docs TO app_user;
CREATE VIEW mine AS SELECT * FROM docs WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::int; GRANT SELECT, INSERT, UPDATE, DELETE ON mine TO app_user;