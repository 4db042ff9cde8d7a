CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO authenticated USING (org_id=(SELECT (auth.jwt() #>> '{app_metadata,org_id}')::uuid));
GRANT SELECT ON docs TO authenticated;
CREATE FUNCTION siblings(d docs) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path='' AS $$ SELECT count(*) FROM public.docs $$;
