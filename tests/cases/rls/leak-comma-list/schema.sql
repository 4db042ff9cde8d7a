CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON docs FOR SELECT TO app_user USING (current_setting('app.tenant_ids', true) LIKE '%' || (tenant_id % 10) || '%');
GRANT SELECT ON docs TO app_user;
