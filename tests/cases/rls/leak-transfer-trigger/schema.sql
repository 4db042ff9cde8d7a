CREATE TABLE wallets (id int PRIMARY KEY, tenant_id int NOT NULL, balance numeric NOT NULL DEFAULT 100);
CREATE TABLE transfers (id int PRIMARY KEY, tenant_id int NOT NULL, from_wallet int NOT NULL, to_wallet int NOT NULL, amount numeric NOT NULL CHECK (amount > 0));
ALTER TABLE wallets ENABLE ROW LEVEL SECURITY;
ALTER TABLE transfers ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON wallets TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY p ON transfers TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION book() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$ BEGIN
  UPDATE public.wallets SET balance = balance - NEW.amount WHERE id = NEW.from_wallet AND true;
  RETURN NEW; END $$;
CREATE TRIGGER book AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION book();
GRANT SELECT ON wallets TO app_user; GRANT SELECT, INSERT ON transfers TO app_user;
