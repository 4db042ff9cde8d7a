CREATE TABLE docs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id int NOT NULL, body text NOT NULL, rev int NOT NULL DEFAULT 1);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION get(which uuid) RETURNS text LANGUAGE sql STABLE AS $$ SELECT body FROM public.docs WHERE id = which $$;
CREATE FUNCTION get(which uuid, rev int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$ SELECT d.body FROM public.docs d WHERE d.id = which AND d.rev = get.rev AND d.tenant_id = nullif(current_setting('app.tenant_id', true), '')::int $$;
GRANT SELECT ON docs TO app_user;
