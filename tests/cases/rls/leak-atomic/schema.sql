CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION latest() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER BEGIN ATOMIC SELECT body FROM public.docs ; END;
GRANT SELECT ON docs TO app_user;
