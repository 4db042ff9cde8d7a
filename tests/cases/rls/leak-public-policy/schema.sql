CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL, draft boolean NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY a ON docs FOR SELECT USING (NOT draft);
CREATE POLICY b ON docs TO authenticated USING (org_id=(SELECT (auth.jwt() #>> '{app_metadata,org_id}')::uuid));
GRANT SELECT ON docs TO anon, authenticated;
