CREATE DOMAIN tenant_no AS int CHECK (VALUE > 0);
CREATE TYPE meta AS (tenant tenant_no, tag text);
CREATE TABLE forms (id int PRIMARY KEY, tenant_id tenant_no NOT NULL, info meta);
ALTER TABLE forms ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON forms TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int AND ((info).tag IS DISTINCT FROM 'hidden'));
GRANT SELECT, INSERT, UPDATE ON forms TO app_user;
