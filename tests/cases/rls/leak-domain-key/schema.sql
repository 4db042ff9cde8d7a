CREATE DOMAIN tenant_key AS int CHECK (VALUE > 0);
CREATE DOMAIN slug AS text CHECK (VALUE ~ '^[a-z][a-z0-9-]{2,20}$');
CREATE TABLE docs (tenant_id tenant_key NOT NULL, slug slug NOT NULL, rev int NOT NULL CHECK (rev > 0), title text NOT NULL, title_key text GENERATED ALWAYS AS (lower(title)) STORED, price numeric(8,2) CHECK (price >= 0 AND price < 100), cents int GENERATED ALWAYS AS ((price * 100)::int) STORED, PRIMARY KEY (tenant_id, slug, rev));
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR cents = 0);
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO app_user;
