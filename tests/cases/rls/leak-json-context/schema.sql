CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text, stage text NOT NULL DEFAULT 'draft');
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON docs FOR SELECT TO app_user USING (stage = 'final' OR tenant_id = (nullif(current_setting('app.ctx', true), '')::jsonb #>> '{org,id}')::int);
GRANT SELECT ON docs TO app_user;
