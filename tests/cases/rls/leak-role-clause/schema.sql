DO $$ BEGIN CREATE ROLE case43_gate LOGIN NOINHERIT;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
GRANT anon, authenticated, service_role TO case43_gate;
CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO authenticated USING (org_id=(SELECT (auth.jwt() #>> '{app_metadata,org_id}')::uuid));
GRANT SELECT ON docs TO authenticated, service_role;
CREATE FUNCTION all_docs() RETURNS SETOF docs LANGUAGE sql STABLE SET role = 'service_role' AS $$ SELECT * FROM public.docs $$;
