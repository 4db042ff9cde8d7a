CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE TABLE shares (doc_id int NOT NULL, tenant_id int NOT NULL, PRIMARY KEY (doc_id, tenant_id));
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR EXISTS (SELECT FROM shares s WHERE s.doc_id = docs.id AND s.tenant_id = nullif(current_setting('app.tenant_id', true), '')::int));
GRANT SELECT ON docs TO app_user;
ALTER TABLE shares ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON shares FOR SELECT TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY i ON shares FOR INSERT TO app_user WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int); GRANT SELECT, INSERT ON shares TO app_user;
