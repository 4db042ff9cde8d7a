CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL, locale text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO authenticated USING (org_id=(SELECT (auth.jwt() #>> '{app_metadata,org_id}')::uuid));
CREATE POLICY n ON docs AS RESTRICTIVE FOR SELECT TO authenticated USING (locale = coalesce(auth.jwt() -> 'user_metadata' ->> 'locale', locale));
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO authenticated;
