CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION totals(tenants int[] DEFAULT NULL, OUT n bigint, OUT longest text) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$ SELECT count(*), max(body) FROM public.docs WHERE tenant_id = ANY (tenants)  $$;
GRANT SELECT ON docs TO app_user;
