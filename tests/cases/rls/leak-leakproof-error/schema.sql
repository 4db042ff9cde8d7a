CREATE FUNCTION public.as_number(x text) RETURNS int LANGUAGE plpgsql IMMUTABLE LEAKPROOF COST 1 AS $$ BEGIN RETURN x::int;
END $$;
SET ROLE app_owner;
CREATE TABLE public.notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (tenant_id = nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT ON notes TO app_user;
RESET ROLE;
