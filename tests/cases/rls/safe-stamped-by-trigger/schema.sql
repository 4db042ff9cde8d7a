CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text, at timestamptz);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int) WITH CHECK (true);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$ BEGIN NEW.tenant_id := nullif(current_setting('app.tenant_id', true), '')::int; NEW.at := now(); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION stamp();
GRANT SELECT, INSERT, UPDATE ON docs TO app_user;
