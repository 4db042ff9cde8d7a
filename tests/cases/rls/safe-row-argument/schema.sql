CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION save(d docs) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$ UPDATE public.docs t SET body = d.body WHERE t.id = d.id AND t.tenant_id = nullif(current_setting('app.tenant_id', true), '')::int $$;
GRANT SELECT ON docs TO app_user;
