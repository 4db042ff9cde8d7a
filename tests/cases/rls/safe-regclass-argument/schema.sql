CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION dump(of regclass) RETURNS SETOF jsonb LANGUAGE plpgsql  SET search_path = '' AS $$ BEGIN RETURN QUERY EXECUTE format('SELECT to_jsonb(t) FROM %s t', of); END $$;
GRANT SELECT ON docs TO app_user;
