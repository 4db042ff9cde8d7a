SET ROLE app_owner;
CREATE TABLE public.notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR SELECT USING (tenant_id=nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, UPDATE ON notes TO app_user;
CREATE POLICY u ON notes FOR UPDATE USING (true) WITH CHECK (tenant_id=nullif(current_setting('app.tenant_id', true),'')::int);
RESET ROLE;
