CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT ON docs TO app_user;
CREATE VIEW stats WITH (security_invoker = on) AS SELECT (SELECT max(id) FROM docs) AS top, (SELECT count(*) FROM docs) AS n; GRANT SELECT ON stats TO app_user;