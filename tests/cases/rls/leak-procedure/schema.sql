CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO app_user;
CREATE PROCEDURE purge(which int, INOUT gone int DEFAULT 0) LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$ BEGIN DELETE FROM public.docs d WHERE d.id = which ; GET DIAGNOSTICS gone = ROW_COUNT; END $$;
REVOKE EXECUTE ON PROCEDURE purge(int, int) FROM PUBLIC; GRANT EXECUTE ON PROCEDURE purge(int, int) TO app_user;
