CREATE TABLE docs (id int PRIMARY KEY, org_id text NOT NULL, teams text[] NOT NULL DEFAULT '{}');
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs FOR SELECT TO authenticated USING (org_id = (auth.jwt() #>> '{app_metadata,org_id}') OR teams <@ ARRAY[(auth.jwt() #>> '{app_metadata,team}')]);
GRANT SELECT ON docs TO authenticated;
