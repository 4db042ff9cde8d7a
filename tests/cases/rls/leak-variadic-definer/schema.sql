CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO app_user;
CREATE TYPE filter AS (status text, min int);
CREATE TYPE sort AS ENUM ('asc','desc');
CREATE FUNCTION find(q text, f filter, s sort, lim int DEFAULT 10, VARIADIC ids int[] DEFAULT '{}') RETURNS TABLE (id int, body text) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$ SELECT d.id, d.body FROM public.docs d WHERE d.id = ANY (ids)  LIMIT lim $$;
REVOKE EXECUTE ON FUNCTION find(text, filter, sort, int, int[]) FROM PUBLIC; GRANT EXECUTE ON FUNCTION find(text, filter, sort, int, int[]) TO app_user;
