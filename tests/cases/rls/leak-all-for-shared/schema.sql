SET ROLE app_owner;
CREATE TABLE public.designs (id int PRIMARY KEY, tenant_id int NOT NULL, is_public boolean NOT NULL DEFAULT false, body text);
ALTER TABLE designs ENABLE ROW LEVEL SECURITY;
ALTER TABLE designs FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON designs USING (is_public OR tenant_id=nullif(current_setting('app.tenant_id', true),'')::int) WITH CHECK (tenant_id=nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON designs TO app_user;
RESET ROLE;
