-- Every change of an agent is kept: what it was, who changed it, when. V9 begins to record.
ALTER TABLE public.agents ADD COLUMN version integer DEFAULT 1 NOT NULL;
COMMENT ON COLUMN public.agents.version IS 'Counts the changes; set by a trigger, whatever the statement says';

CREATE TABLE public.agent_versions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    version integer NOT NULL,
    snapshot jsonb NOT NULL,
    changed_by uuid,
    changed_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT agent_versions_pkey PRIMARY KEY (id),
    CONSTRAINT agent_versions_tenant_id_agent_id_version_key UNIQUE (tenant_id, agent_id, version),
    CONSTRAINT agent_versions_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT agent_versions_agent_id_fkey FOREIGN KEY (tenant_id, agent_id) REFERENCES public.agents (tenant_id, id),
    CONSTRAINT agent_versions_version_check CHECK (version > 0)
);
CREATE INDEX agent_versions_tenant_id_changed_at_idx ON public.agent_versions (tenant_id, changed_at DESC);
COMMENT ON TABLE public.agent_versions IS 'Each state an agent has had; written by a trigger alone';
COMMENT ON COLUMN public.agent_versions.snapshot IS 'The whole row as it was after the change';
COMMENT ON COLUMN public.agent_versions.changed_by IS
    'The sub claim of the request, NULL for a service; no foreign key, because the record outlives the user';
REVOKE ALL ON TABLE public.agent_versions FROM PUBLIC, anon, authenticated, service_role;
ALTER TABLE public.agent_versions ENABLE ROW LEVEL SECURITY;
