SET ROLE app_owner;
CREATE TABLE public.notes (id int PRIMARY KEY, tenant_id int NOT NULL, draft boolean NOT NULL, author text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (tenant_id=nullif(current_setting('app.tenant_id', true),'')::int AND NOT draft);
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app_user;
CREATE POLICY d ON notes USING (tenant_id=nullif(current_setting('app.tenant_id', true),'')::int AND draft AND author = current_setting('app.user_id', true));
RESET ROLE;
