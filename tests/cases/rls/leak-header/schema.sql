CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO authenticated USING (org_id = coalesce((current_setting('request.headers', true)::json ->> 'x-org-id')::uuid, (SELECT (auth.jwt() #>> '{app_metadata,org_id}')::uuid)));
GRANT SELECT, INSERT ON docs TO authenticated;
