CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO app_user;
CREATE FUNCTION all_docs() RETURNS SETOF docs LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$ SELECT * FROM public.docs d  $$;
CREATE VIEW shown WITH (security_invoker) AS SELECT id, body FROM all_docs(); GRANT SELECT ON shown TO app_user;
