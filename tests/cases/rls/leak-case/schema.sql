CREATE COLLATION public.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SET ROLE app_owner;
CREATE TABLE public.notes (id int PRIMARY KEY, tenant text COLLATE public.ci NOT NULL, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (tenant = current_setting('app.tenant', true));
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app_user;
RESET ROLE;
