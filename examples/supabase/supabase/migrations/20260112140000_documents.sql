-- What members work on. A document names its project by (organisation_id, id): a reference into another organisation
-- does not exist.
CREATE TABLE public.projects (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    organisation_id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT projects_pkey PRIMARY KEY (id),
    CONSTRAINT projects_organisation_id_id_key UNIQUE (organisation_id, id),
    CONSTRAINT projects_organisation_id_fkey FOREIGN KEY (organisation_id)
        REFERENCES public.organisations (id) ON DELETE CASCADE,
    CONSTRAINT projects_name_check CHECK (char_length(name) BETWEEN 1 AND 200)
);
COMMENT ON TABLE public.projects IS 'A folder of documents';
ALTER TABLE public.projects ENABLE ROW LEVEL SECURITY;

CREATE TABLE public.documents (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    organisation_id uuid NOT NULL,
    project_id uuid NOT NULL,
    author_id uuid DEFAULT auth.uid(),
    title text NOT NULL,
    body text DEFAULT '' NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT documents_pkey PRIMARY KEY (id),
    CONSTRAINT documents_organisation_id_fkey FOREIGN KEY (organisation_id)
        REFERENCES public.organisations (id) ON DELETE CASCADE,
    CONSTRAINT documents_project_id_fkey FOREIGN KEY (organisation_id, project_id)
        REFERENCES public.projects (organisation_id, id) ON DELETE CASCADE,
    CONSTRAINT documents_author_id_fkey FOREIGN KEY (author_id) REFERENCES auth.users (id) ON DELETE SET NULL,
    CONSTRAINT documents_title_check CHECK (char_length(title) BETWEEN 1 AND 200)
);
CREATE INDEX documents_project_id_idx ON public.documents (organisation_id, project_id);
CREATE INDEX documents_author_id_idx ON public.documents (author_id);
COMMENT ON TABLE public.documents IS 'What members write';
ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY;

CREATE POLICY members_select ON public.projects
    FOR SELECT TO authenticated
    USING (organisation_id = ANY (ARRAY(SELECT private.my_organisations())));
CREATE POLICY members_insert ON public.projects
    FOR INSERT TO authenticated
    WITH CHECK (organisation_id = ANY (ARRAY(SELECT private.my_organisations())));
CREATE POLICY members_update ON public.projects
    FOR UPDATE TO authenticated
    USING (organisation_id = ANY (ARRAY(SELECT private.my_organisations())))
    WITH CHECK (organisation_id = ANY (ARRAY(SELECT private.my_organisations())));
CREATE POLICY owners_delete ON public.projects
    FOR DELETE TO authenticated
    USING (organisation_id = ANY (ARRAY(SELECT private.my_owned_organisations())));

CREATE POLICY members_select ON public.documents
    FOR SELECT TO authenticated
    USING (organisation_id = ANY (ARRAY(SELECT private.my_organisations())));
CREATE POLICY members_insert ON public.documents
    FOR INSERT TO authenticated
    WITH CHECK (organisation_id = ANY (ARRAY(SELECT private.my_organisations())));
CREATE POLICY members_update ON public.documents
    FOR UPDATE TO authenticated
    USING (organisation_id = ANY (ARRAY(SELECT private.my_organisations())))
    WITH CHECK (organisation_id = ANY (ARRAY(SELECT private.my_organisations())));
CREATE POLICY members_delete ON public.documents
    FOR DELETE TO authenticated
    USING (organisation_id = ANY (ARRAY(SELECT private.my_organisations())));

CREATE POLICY service ON public.projects
    FOR ALL TO service_role USING (true) WITH CHECK (true);
CREATE POLICY service ON public.documents
    FOR ALL TO service_role USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.projects, public.documents TO authenticated, service_role;
