CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION docs_of(org uuid) RETURNS SETOF docs LANGUAGE sql STABLE SECURITY DEFINER SET search_path='' AS $$ SELECT * FROM public.docs WHERE org_id=org $$;
CREATE POLICY p ON docs TO authenticated USING (org_id=(SELECT (auth.jwt() #>> '{app_metadata,org_id}')::uuid));
GRANT SELECT ON docs TO authenticated;
