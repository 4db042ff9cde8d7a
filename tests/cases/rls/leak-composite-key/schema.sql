CREATE TABLE ledgers (region text NOT NULL CHECK (region IN ('eu','us')), tenant_no int NOT NULL, name text, PRIMARY KEY (region, tenant_no));
CREATE TABLE entries (region text NOT NULL, tenant_no int NOT NULL, n bigint GENERATED ALWAYS AS IDENTITY, amount numeric(12,2) NOT NULL CHECK (amount <> 0), PRIMARY KEY (region, tenant_no, n), FOREIGN KEY (region, tenant_no) REFERENCES ledgers);
ALTER TABLE ledgers ENABLE ROW LEVEL SECURITY; ALTER TABLE entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON ledgers TO app_user USING (tenant_no = nullif(current_setting('app.tenant_id', true), '')::int AND region = current_setting('app.region', true));
CREATE POLICY p ON entries TO app_user USING (tenant_no = nullif(current_setting('app.tenant_id', true), '')::int OR region = current_setting('app.region', true));
GRANT SELECT ON ledgers, entries TO app_user;
