SET ROLE app_owner;
CREATE TABLE members (user_id uuid NOT NULL, org_id int NOT NULL, role text NOT NULL DEFAULT 'member', status text NOT NULL DEFAULT 'active', PRIMARY KEY (user_id, org_id));
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE TABLE docs (id int PRIMARY KEY, org_id int NOT NULL, body text NOT NULL);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION public.is_in(o int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path='' AS $$ SELECT EXISTS (SELECT 1 FROM public.members m WHERE m.org_id=o AND m.user_id=auth.uid() AND m.status='active') $$;
CREATE POLICY p ON docs TO authenticated USING (public.is_in(org_id));
GRANT SELECT ON docs TO authenticated;
RESET ROLE;
