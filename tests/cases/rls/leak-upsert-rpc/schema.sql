CREATE TABLE settings (key text NOT NULL, tenant_id int NOT NULL, value jsonb NOT NULL, PRIMARY KEY (key));
ALTER TABLE settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON settings TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION put(k text, v jsonb) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$ INSERT INTO public.settings AS s VALUES (k, nullif(current_setting('app.tenant_id', true), '')::int, v) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value $$;
GRANT SELECT ON settings TO app_user;
