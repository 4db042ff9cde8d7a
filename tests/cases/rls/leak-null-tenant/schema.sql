SET ROLE app_owner;
CREATE TABLE public.tags (id int PRIMARY KEY, tenant_id int, label text);
ALTER TABLE tags ENABLE ROW LEVEL SECURITY;
ALTER TABLE tags FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON tags USING (tenant_id IS NULL OR tenant_id=nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, INSERT ON tags TO app_user;
RESET ROLE;
