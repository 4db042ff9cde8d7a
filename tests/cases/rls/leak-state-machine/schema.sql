CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, state text NOT NULL CHECK (state IN ('draft','review','final')), approved_by int);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR state = 'review');
GRANT SELECT, UPDATE ON docs TO app_user;
CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.state <> 'draft' AND NEW.approved_by IS NULL THEN RAISE EXCEPTION 'not approved'; END IF; IF TG_OP = 'UPDATE' AND OLD.state = 'final' THEN RAISE EXCEPTION 'final'; END IF; RETURN NEW; END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION guard();
