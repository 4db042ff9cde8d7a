CREATE SCHEMA internal;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
CREATE TABLE internal.raw (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE VIEW copies AS SELECT md5(body) AS digest, length(body) AS n FROM internal.raw;
GRANT SELECT ON docs, copies TO app_user;
