SET ROLE app_owner;
CREATE TABLE public.designs (id int PRIMARY KEY, tenant_id int NOT NULL, visibility text NOT NULL DEFAULT 'private' CHECK (visibility IN ('private','public')), body text);
ALTER TABLE designs ENABLE ROW LEVEL SECURITY;
ALTER TABLE designs FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON designs FOR SELECT USING (visibility = 'public' OR tenant_id=nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON designs TO app_user;
CREATE POLICY w ON designs FOR ALL USING (tenant_id=nullif(current_setting('app.tenant_id', true),'')::int);
RESET ROLE;
