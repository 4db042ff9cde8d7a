CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO authenticated USING (org_id=(SELECT (auth.jwt() #>> '{app_metadata,org_id}')::uuid));
CREATE POLICY m ON docs AS RESTRICTIVE TO authenticated USING ((auth.jwt() ->> 'aal'::text) = 'aal2');
GRANT SELECT, INSERT ON docs TO authenticated;
