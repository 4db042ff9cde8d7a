CREATE TYPE doc AS (id int, tenant_id int, body text);
CREATE TABLE docs OF doc (PRIMARY KEY (id), tenant_id WITH OPTIONS NOT NULL);
CREATE UNLOGGED TABLE cache (key text COLLATE "C", tenant_id int NOT NULL, value bytea, PRIMARY KEY (tenant_id, key));
ALTER TABLE docs ENABLE ROW LEVEL SECURITY; ALTER TABLE cache ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY p ON cache TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY old ON cache AS RESTRICTIVE FOR DELETE TO app_user USING (value IS NULL);
GRANT SELECT, INSERT, DELETE ON docs, cache TO app_user;
