CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, cfg json, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int AND coalesce((cfg ->> 'visible')::boolean, true));
GRANT SELECT ON docs TO app_user;
