CREATE SCHEMA internal;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
CREATE TABLE internal.raw (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT ALL ON internal.raw TO app_user;
CREATE FUNCTION internal.everything() RETURNS SETOF docs LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT * FROM public.docs';
GRANT SELECT ON docs TO app_user;
