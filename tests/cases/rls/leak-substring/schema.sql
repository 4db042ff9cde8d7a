CREATE TABLE docs (id int PRIMARY KEY, org_id int NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO authenticated USING ((auth.jwt() -> 'app_metadata' ->> 'orgs') LIKE '%' || org_id::text || '%');
GRANT SELECT ON docs TO authenticated;
