CREATE SCHEMA sec; GRANT USAGE ON SCHEMA sec TO app_user;
CREATE FUNCTION sec.org() RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN RETURN current_setting('app.org')::uuid; EXCEPTION WHEN others THEN RETURN NULL; END $$;
CREATE TABLE docs (id int PRIMARY KEY, org uuid NOT NULL DEFAULT sec.org(), locked_by uuid, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY; ALTER TABLE docs FORCE ROW LEVEL SECURITY;
CREATE POLICY r ON docs FOR SELECT TO app_user USING (org = (SELECT sec.org()));
CREATE POLICY u ON docs FOR UPDATE TO app_user USING (locked_by IS DISTINCT FROM sec.org()) WITH CHECK (org = sec.org());
GRANT SELECT, UPDATE ON docs TO app_user;
