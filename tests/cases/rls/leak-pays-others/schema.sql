CREATE TABLE invoices (id int PRIMARY KEY, tenant_id int NOT NULL, paid boolean NOT NULL DEFAULT false, UNIQUE (tenant_id, id));
CREATE TABLE payments (id int PRIMARY KEY, tenant_id int NOT NULL, invoice_id int NOT NULL);
ALTER TABLE invoices ENABLE ROW LEVEL SECURITY; ALTER TABLE payments ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON invoices TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY p ON payments TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION settle() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$ BEGIN UPDATE public.invoices i SET paid = true WHERE i.id = NEW.invoice_id; RETURN NULL; END $$;
CREATE TRIGGER settle AFTER INSERT ON payments FOR EACH ROW EXECUTE FUNCTION settle();
GRANT SELECT ON invoices TO app_user; GRANT SELECT, INSERT ON payments TO app_user;
