CREATE TABLE devices (token text PRIMARY KEY, tenant_id int NOT NULL, name text);
ALTER TABLE devices ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON devices TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION register(t text, n text) RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path='' AS $$
 INSERT INTO public.devices AS d VALUES (t, nullif(current_setting('app.tenant_id', true), '')::int, n) ON CONFLICT (token) DO UPDATE SET tenant_id = EXCLUDED.tenant_id, name = EXCLUDED.name WHERE d.tenant_id = EXCLUDED.tenant_id RETURNING 1 $$;
REVOKE ALL ON FUNCTION register FROM PUBLIC; GRANT EXECUTE ON FUNCTION register TO app_user; GRANT SELECT ON devices TO app_user;
