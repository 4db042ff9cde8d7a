CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL DEFAULT nullif(current_setting('app.tenant_id', true), '')::int, body text NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION search(q text, of int DEFAULT nullif(current_setting('app.tenant_id', true), '')::int) RETURNS SETOF docs LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$ BEGIN IF of IS DISTINCT FROM nullif(current_setting('app.tenant_id', true), '')::int THEN RAISE EXCEPTION 'not yours' USING ERRCODE = '42501'; END IF; RETURN QUERY SELECT * FROM public.docs d WHERE d.tenant_id = of AND d.body LIKE '%' || q || '%'; END $$;
GRANT SELECT, INSERT ON docs TO app_user;
