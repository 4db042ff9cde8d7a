CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION open_docs() RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$ DECLARE c refcursor; BEGIN OPEN c FOR SELECT id, body FROM public.docs ; RETURN c; END $$;
GRANT SELECT ON docs TO app_user;
