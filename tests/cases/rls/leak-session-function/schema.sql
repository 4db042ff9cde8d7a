CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT ON docs TO app_user;
CREATE FUNCTION act_as(t int) RETURNS void LANGUAGE sql AS $$ SELECT set_config('app.tenant_id', t::text, false) $$; GRANT EXECUTE ON FUNCTION act_as(int) TO app_user;