SET ROLE app_owner;
CREATE TABLE public.people (id int PRIMARY KEY, tenant_id int NOT NULL, email text NOT NULL);
CREATE UNIQUE INDEX people_mail ON people (lower(email));
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE people FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON people USING (tenant_id = nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON people TO app_user;
RESET ROLE;
