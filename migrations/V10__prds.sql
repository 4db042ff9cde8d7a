-- Product requirements, with every change kept as for agents.
CREATE TABLE public.prds (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    project_id uuid NOT NULL,
    created_by uuid,
    title text NOT NULL,
    body text DEFAULT '' NOT NULL,
    status text DEFAULT 'draft' NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT prds_pkey PRIMARY KEY (id),
    CONSTRAINT prds_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT prds_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT prds_project_id_fkey FOREIGN KEY (tenant_id, project_id) REFERENCES public.projects (tenant_id, id),
    CONSTRAINT prds_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES public.users (tenant_id, id),
    CONSTRAINT prds_title_check CHECK (char_length(title) BETWEEN 1 AND 200),
    CONSTRAINT prds_status_check CHECK (status IN ('draft', 'review', 'approved', 'withdrawn'))
);
CREATE INDEX prds_project_id_idx ON public.prds (tenant_id, project_id);
CREATE INDEX prds_created_by_idx ON public.prds (tenant_id, created_by);
COMMENT ON TABLE public.prds IS 'Requirements that agents work from; withdrawn, never deleted';
COMMENT ON COLUMN public.prds.version IS 'Counts the changes; set by a trigger, whatever the statement says';

CREATE TABLE public.prd_versions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    prd_id uuid NOT NULL,
    version integer NOT NULL,
    snapshot jsonb NOT NULL,
    changed_by uuid,
    changed_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT prd_versions_pkey PRIMARY KEY (id),
    CONSTRAINT prd_versions_tenant_id_prd_id_version_key UNIQUE (tenant_id, prd_id, version),
    CONSTRAINT prd_versions_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT prd_versions_prd_id_fkey FOREIGN KEY (tenant_id, prd_id) REFERENCES public.prds (tenant_id, id),
    CONSTRAINT prd_versions_version_check CHECK (version > 0)
);
CREATE INDEX prd_versions_tenant_id_changed_at_idx ON public.prd_versions (tenant_id, changed_at DESC);
COMMENT ON TABLE public.prd_versions IS 'Each state a requirement has had; written by a trigger alone';
COMMENT ON COLUMN public.prd_versions.snapshot IS 'The whole row as it was after the change';
COMMENT ON COLUMN public.prd_versions.changed_by IS
    'The sub claim of the request, NULL for a service; no foreign key, because the record outlives the user';

-- Runs as its owner: no role of a request may write versions, or history could be made up.
CREATE FUNCTION app.record_prd_version() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = ''
    AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.version IS DISTINCT FROM OLD.version THEN
        INSERT INTO public.prd_versions (tenant_id, prd_id, version, snapshot, changed_by)
        VALUES (NEW.tenant_id, NEW.id, NEW.version, to_jsonb(NEW), app.user_id());
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.record_prd_version() IS 'Keeps each state of a requirement';
REVOKE ALL ON FUNCTION app.record_prd_version() FROM PUBLIC, anon, authenticated, service_role;

CREATE TRIGGER prds_number_version BEFORE INSERT OR UPDATE ON public.prds
    FOR EACH ROW EXECUTE FUNCTION app.number_version();
CREATE TRIGGER prds_record_version AFTER INSERT OR UPDATE ON public.prds
    FOR EACH ROW EXECUTE FUNCTION app.record_prd_version();
CREATE TRIGGER prds_touch_updated_at BEFORE UPDATE ON public.prds
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

REVOKE ALL ON TABLE public.prds, public.prd_versions FROM PUBLIC, anon, authenticated, service_role;
ALTER TABLE public.prds ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.prd_versions ENABLE ROW LEVEL SECURITY;
