CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO app_user;
CREATE FUNCTION lookup(request jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$ BEGIN RETURN (SELECT jsonb_agg(to_jsonb(d)) FROM public.docs d WHERE d.id = (request ->> 'id')::int ); END $$;
REVOKE EXECUTE ON FUNCTION lookup(jsonb) FROM PUBLIC; GRANT EXECUTE ON FUNCTION lookup(jsonb) TO app_user;
