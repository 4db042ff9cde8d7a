CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs FOR SELECT TO authenticated USING (org_id=(SELECT (auth.jwt() #>> '{app_metadata,org_id}')::uuid));
CREATE POLICY d ON docs FOR DELETE TO authenticated USING (true);
GRANT SELECT ON docs TO authenticated;
