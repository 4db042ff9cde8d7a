SET ROLE app_owner;
CREATE TABLE public.notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id int NOT NULL, public_ref uuid NOT NULL UNIQUE DEFAULT gen_random_uuid());
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (tenant_id = nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app_user;
RESET ROLE;
