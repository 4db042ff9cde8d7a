SET ROLE app_owner;
CREATE TABLE public.events (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
CREATE TABLE click_events (url text) INHERITS (events);
ALTER TABLE click_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE click_events FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON click_events USING (tenant_id = nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON click_events TO app_user;
GRANT SELECT ON events TO app_user;
RESET ROLE;
