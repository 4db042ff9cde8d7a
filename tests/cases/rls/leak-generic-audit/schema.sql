CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO app_user;
CREATE TABLE changes (id bigserial PRIMARY KEY, tbl text, was jsonb, at timestamptz DEFAULT now());
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$ BEGIN INSERT INTO public.changes (tbl, was) VALUES (TG_TABLE_NAME, to_jsonb(COALESCE(NEW, OLD))); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON docs FOR EACH ROW EXECUTE FUNCTION note_change();
GRANT SELECT ON changes TO app_user;
