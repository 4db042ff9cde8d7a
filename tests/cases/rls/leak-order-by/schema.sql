CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL, title text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION sorted(by_column text) RETURNS SETOF docs LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path='' AS $$ BEGIN RETURN QUERY EXECUTE format('SELECT * FROM public.docs WHERE org_id = %L ORDER BY %s', auth.jwt() #>> '{app_metadata,org_id}', by_column);
END $$;
CREATE POLICY p ON docs TO authenticated USING (org_id=(SELECT (auth.jwt() #>> '{app_metadata,org_id}')::uuid));
GRANT SELECT ON docs TO authenticated;
