CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE VIEW inbox WITH (security_invoker = true) AS SELECT id, tenant_id, body FROM docs;
CREATE RULE r AS ON UPDATE TO inbox DO INSTEAD UPDATE docs SET body = NEW.body WHERE id = OLD.id AND tenant_id = nullif(current_setting('app.tenant_id', true), '')::int;
GRANT SELECT ON docs TO app_user; GRANT SELECT, UPDATE ON inbox TO app_user;
