CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, kind text NOT NULL DEFAULT 'a');
CREATE TABLE counters (kind text, tenant_id int NOT NULL, n int NOT NULL DEFAULT 0, PRIMARY KEY (kind, tenant_id));
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
ALTER TABLE counters ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int); CREATE POLICY p ON counters TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$ BEGIN
 UPDATE public.counters c SET n = n + 1 WHERE c.kind = NEW.kind ; RETURN NEW; END $$;
CREATE TRIGGER bump AFTER INSERT ON docs FOR EACH ROW EXECUTE FUNCTION bump();
GRANT SELECT, INSERT ON docs TO app_user; GRANT SELECT ON counters TO app_user;
