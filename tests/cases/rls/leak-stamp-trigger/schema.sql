CREATE TABLE docs (id int PRIMARY KEY, tenant_id int, body text);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tenant_id := coalesce(NEW.tenant_id, nullif(current_setting('app.tenant_id', true), '')::int); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;

CREATE POLICY r ON docs FOR SELECT TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY i ON docs FOR INSERT TO app_user WITH CHECK (true);
GRANT SELECT, INSERT ON docs TO app_user;
