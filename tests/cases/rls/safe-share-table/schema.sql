CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
CREATE TABLE shares (doc_id int NOT NULL REFERENCES docs ON DELETE CASCADE, tenant_id int NOT NULL, PRIMARY KEY (doc_id, tenant_id));
ALTER TABLE docs ENABLE ROW LEVEL SECURITY; ALTER TABLE shares ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION owner_of(doc int) RETURNS int LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$ SELECT tenant_id FROM public.docs WHERE id = doc $$;
CREATE POLICY p ON docs FOR SELECT TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR id IN (SELECT s.doc_id FROM shares s WHERE s.tenant_id = nullif(current_setting('app.tenant_id', true), '')::int));
CREATE POLICY r ON shares FOR SELECT TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY i ON shares FOR INSERT TO app_user WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int AND doc_id IN (SELECT d.id FROM docs d WHERE d.tenant_id = nullif(current_setting('app.tenant_id', true), '')::int));
REVOKE EXECUTE ON FUNCTION owner_of(int) FROM PUBLIC;
GRANT SELECT ON docs TO app_user; GRANT SELECT, INSERT ON shares TO app_user;
