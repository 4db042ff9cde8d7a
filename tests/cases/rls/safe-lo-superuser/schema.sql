SET ROLE app_owner;
CREATE TABLE public.scans (id int PRIMARY KEY, tenant_id int NOT NULL, content oid NOT NULL);
ALTER TABLE scans ENABLE ROW LEVEL SECURITY;
ALTER TABLE scans FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON scans USING (tenant_id = nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT ON scans TO app_user;
RESET ROLE;
INSERT INTO scans VALUES (1,1,lo_from_bytea(0,'a')),(2,2,lo_from_bytea(0,'b'));
