SET ROLE app_owner;
CREATE TABLE public.notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
CREATE VIEW my_notes WITH (security_barrier=true) AS SELECT * FROM notes WHERE tenant_id=nullif(current_setting('app.tenant_id', true),'')::int WITH CASCADED CHECK OPTION;
GRANT SELECT, INSERT, UPDATE, DELETE ON my_notes TO app_user;
RESET ROLE;
