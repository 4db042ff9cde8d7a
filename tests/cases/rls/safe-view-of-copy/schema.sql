CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE MATERIALIZED VIEW totals AS SELECT tenant_id, count(*) AS n, max(body) AS last FROM docs GROUP BY 1;
CREATE VIEW mine WITH (security_barrier = true) AS SELECT n, last FROM totals WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::int;
GRANT SELECT ON docs, mine TO app_user;
