CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO app_user;
CREATE FUNCTION counts(OUT mine bigint, OUT every bigint) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$ SELECT count(*) FILTER (WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::int), 0::bigint FROM public.docs $$;
GRANT EXECUTE ON FUNCTION counts() TO app_user;
