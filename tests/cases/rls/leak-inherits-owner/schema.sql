DO $$ BEGIN CREATE ROLE case04_web LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
GRANT app_owner TO case04_web;
SET ROLE app_owner;
CREATE TABLE public.notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (tenant_id = nullif(current_setting('app.tenant_id', true),'')::int);
RESET ROLE;
