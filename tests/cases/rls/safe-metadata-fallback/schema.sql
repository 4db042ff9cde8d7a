CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON docs TO authenticated USING (tenant_id = (coalesce(auth.jwt() -> 'app_metadata' ->> 'tenant_id', NULL))::int);
GRANT SELECT ON docs TO authenticated;
