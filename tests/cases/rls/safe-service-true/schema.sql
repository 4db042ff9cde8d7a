CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY s ON docs TO service_role USING (true);
CREATE POLICY p ON docs TO authenticated USING (org_id=(SELECT (auth.jwt() #>> '{app_metadata,org_id}')::uuid));
GRANT ALL ON docs TO service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO authenticated;
