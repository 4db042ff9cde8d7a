SET ROLE app_owner;
CREATE TABLE public.notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (tenant_id = nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app_user;
CREATE VIEW v_inner AS SELECT * FROM notes;
CREATE VIEW v_outer WITH (security_invoker=true) AS SELECT id, body FROM v_inner;
GRANT SELECT ON v_outer, v_inner TO app_user;
RESET ROLE;
