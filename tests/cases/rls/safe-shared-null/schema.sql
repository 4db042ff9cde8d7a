SET ROLE app_owner;
CREATE TABLE public.tags (id int PRIMARY KEY, tenant_id int, label text);
ALTER TABLE tags ENABLE ROW LEVEL SECURITY;
ALTER TABLE tags FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON tags FOR SELECT USING (tenant_id IS NULL OR tenant_id=nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON tags TO app_user;
CREATE POLICY w ON tags FOR ALL USING (tenant_id=nullif(current_setting('app.tenant_id', true),'')::int) WITH CHECK (tenant_id=nullif(current_setting('app.tenant_id', true),'')::int);
RESET ROLE;
