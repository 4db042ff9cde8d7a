SET ROLE app_owner;
CREATE FUNCTION public.me() RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT nullif(current_setting('app.tenant_id', true), '')::int $$;
CREATE TABLE public.notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (tenant_id = public.me());
GRANT SELECT ON notes TO app_user;
RESET ROLE;
