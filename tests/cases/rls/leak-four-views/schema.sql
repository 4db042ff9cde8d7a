CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE VIEW v1 WITH (security_invoker = true) AS SELECT * FROM docs;
CREATE VIEW v2  AS SELECT id, tenant_id AS t, upper(body) AS loud FROM docs;
CREATE VIEW v3 WITH (security_invoker = true) AS SELECT v2.loud, v1.id FROM v2 LEFT JOIN v1 USING (id);
CREATE VIEW v4 WITH (security_invoker = true) AS SELECT count(*) AS n, string_agg(loud, ',') AS all_of FROM v3;
GRANT SELECT ON docs, v1, v2, v3, v4 TO app_user;
