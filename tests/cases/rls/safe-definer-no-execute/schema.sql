SET ROLE app_owner;
CREATE TABLE public.notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (tenant_id = nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app_user;
CREATE FUNCTION purge() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path='' AS $$ DELETE FROM public.notes $$;
REVOKE EXECUTE ON FUNCTION purge() FROM PUBLIC;
RESET ROLE;
