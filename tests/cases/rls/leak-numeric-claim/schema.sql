CREATE TABLE docs (id int PRIMARY KEY, tenant_id bigint NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO authenticated USING (tenant_id::text LIKE (auth.jwt() ->> 'tenant_id') || '%');
GRANT SELECT ON docs TO authenticated;
