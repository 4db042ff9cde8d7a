SET ROLE app_owner;
CREATE TABLE public.notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
CREATE POLICY p ON notes USING (tenant_id=nullif(current_setting('app.tenant_id', true),'')::int);
GRANT ALL ON notes TO app_user;
REVOKE TRUNCATE, TRIGGER, REFERENCES ON notes FROM app_user;
RESET ROLE;
