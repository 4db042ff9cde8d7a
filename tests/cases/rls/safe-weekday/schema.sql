CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, due date);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int AND (due IS NOT NULL AND extract(isodow FROM due) = 7));
GRANT SELECT ON docs TO app_user;
