CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO authenticated USING (tenant_id = nullif(current_setting('request.jwt.claim.tenant_id', true), '')::uuid OR body IS NULL);
GRANT SELECT ON docs TO authenticated;
