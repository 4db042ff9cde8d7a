CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT ON docs TO app_user;
CREATE FUNCTION slow(i int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$ SELECT body FROM public.docs WHERE id = i AND pg_catalog.pg_sleep(0) IS NOT NULL $$; GRANT EXECUTE ON FUNCTION slow(int) TO app_user;