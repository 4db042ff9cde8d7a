CREATE TABLE public.organisations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT organisations_pkey PRIMARY KEY (id),
    CONSTRAINT organisations_name_check CHECK (char_length(name) BETWEEN 1 AND 200)
);
COMMENT ON TABLE public.organisations IS 'A customer; everything else belongs to one';
ALTER TABLE public.organisations ENABLE ROW LEVEL SECURITY;

-- Who belongs where. Every policy stands on this table, so nobody writes themselves into it.
CREATE TABLE public.memberships (
    organisation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text DEFAULT 'member' NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT memberships_pkey PRIMARY KEY (organisation_id, user_id),
    CONSTRAINT memberships_organisation_id_fkey FOREIGN KEY (organisation_id)
        REFERENCES public.organisations (id) ON DELETE CASCADE,
    CONSTRAINT memberships_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE,
    CONSTRAINT memberships_role_check CHECK (role IN ('owner', 'member'))
);
CREATE INDEX memberships_user_id_idx ON public.memberships (user_id);
COMMENT ON TABLE public.memberships IS 'Which user belongs to which organisation, and as what';
ALTER TABLE public.memberships ENABLE ROW LEVEL SECURITY;

-- They read memberships as their owner, whom its policies do not hold: a policy on memberships that read memberships
-- itself would recurse. They ask about the caller alone and take no argument, so there is nothing to trick them with.
CREATE FUNCTION private.my_organisations() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
        SELECT organisation_id FROM public.memberships WHERE user_id = (SELECT auth.uid())
    $$;
COMMENT ON FUNCTION private.my_organisations() IS 'The organisations the signed-in user belongs to';

CREATE FUNCTION private.my_owned_organisations() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$
        SELECT organisation_id FROM public.memberships WHERE user_id = (SELECT auth.uid()) AND role = 'owner'
    $$;
COMMENT ON FUNCTION private.my_owned_organisations() IS 'The organisations the signed-in user is an owner of';

REVOKE ALL ON FUNCTION private.my_organisations(), private.my_owned_organisations()
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION private.my_organisations(), private.my_owned_organisations() TO authenticated;

-- `= ANY (ARRAY(SELECT …))` is evaluated once a statement and can use an index; a call per row cannot.
CREATE POLICY members_select ON public.organisations
    FOR SELECT TO authenticated
    USING (id = ANY (ARRAY(SELECT private.my_organisations())));
CREATE POLICY owners_update ON public.organisations
    FOR UPDATE TO authenticated
    USING (id = ANY (ARRAY(SELECT private.my_owned_organisations())))
    WITH CHECK (id = ANY (ARRAY(SELECT private.my_owned_organisations())));

CREATE POLICY members_select ON public.memberships
    FOR SELECT TO authenticated
    USING (organisation_id = ANY (ARRAY(SELECT private.my_organisations())));
CREATE POLICY owners_insert ON public.memberships
    FOR INSERT TO authenticated
    WITH CHECK (organisation_id = ANY (ARRAY(SELECT private.my_owned_organisations())));
CREATE POLICY owners_update ON public.memberships
    FOR UPDATE TO authenticated
    USING (organisation_id = ANY (ARRAY(SELECT private.my_owned_organisations())))
    WITH CHECK (organisation_id = ANY (ARRAY(SELECT private.my_owned_organisations())));
CREATE POLICY owners_delete ON public.memberships
    FOR DELETE TO authenticated
    USING (organisation_id = ANY (ARRAY(SELECT private.my_owned_organisations())));

-- Our own services; said here, so that it does not hang on an attribute of the role.
CREATE POLICY service ON public.organisations
    FOR ALL TO service_role USING (true) WITH CHECK (true);
CREATE POLICY service ON public.memberships
    FOR ALL TO service_role USING (true) WITH CHECK (true);

GRANT SELECT ON TABLE public.organisations TO authenticated;
GRANT UPDATE (name) ON TABLE public.organisations TO authenticated;
GRANT SELECT, INSERT, DELETE ON TABLE public.memberships TO authenticated;
-- Not the organisation and not the user: a membership changes its role, it does not move.
GRANT UPDATE (role) ON TABLE public.memberships TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.organisations, public.memberships TO service_role;

-- The first owner of an organisation cannot be made by a policy, because nobody owns it yet.
CREATE FUNCTION public.create_organisation(name text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = ''
    AS $$
DECLARE
    made uuid;
BEGIN
    IF auth.uid() IS NULL THEN
        RAISE EXCEPTION 'sign in first' USING ERRCODE = '28000';
    END IF;
    INSERT INTO public.organisations (name) VALUES (create_organisation.name) RETURNING id INTO made;
    INSERT INTO public.memberships (organisation_id, user_id, role) VALUES (made, auth.uid(), 'owner');
    RETURN made;
END
$$;
COMMENT ON FUNCTION public.create_organisation(text) IS 'Makes an organisation with the caller as its owner';
REVOKE ALL ON FUNCTION public.create_organisation(text) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.create_organisation(text) TO authenticated;
