-- Eight tables. Each is closed from its first moment: row-level security is on and nobody is granted anything,
-- so that what is opened later is opened on purpose. A row names another by (tenant_id, id): a reference into another
-- tenant does not exist.

CREATE TABLE public.tenants (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    status text DEFAULT 'active' NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT tenants_pkey PRIMARY KEY (id),
    CONSTRAINT tenants_slug_key UNIQUE (slug),
    CONSTRAINT tenants_slug_check CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) <= 63),
    CONSTRAINT tenants_name_check CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT tenants_status_check CHECK (status IN ('active', 'suspended', 'closed'))
);
COMMENT ON TABLE public.tenants IS 'A customer; everything else belongs to one';
COMMENT ON COLUMN public.tenants.slug IS 'The name in addresses';

CREATE TABLE public.users (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    email text NOT NULL,
    display_name text DEFAULT '' NOT NULL,
    role text DEFAULT 'member' NOT NULL,
    deactivated_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT users_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT users_email_check CHECK (email ~ '^[^@\s]+@[^@\s]+$' AND char_length(email) <= 320),
    CONSTRAINT users_display_name_check CHECK (char_length(display_name) <= 200),
    CONSTRAINT users_role_check CHECK (role IN ('owner', 'admin', 'member'))
);
CREATE UNIQUE INDEX users_tenant_id_email_key ON public.users (tenant_id, lower(email));
COMMENT ON TABLE public.users IS 'A person within a tenant; deactivated, never deleted, because records name them';
COMMENT ON COLUMN public.users.id IS 'The sub claim of the person''s token';

CREATE TABLE public.projects (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid,
    slug text NOT NULL,
    name text NOT NULL,
    description text DEFAULT '' NOT NULL,
    archived_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT projects_pkey PRIMARY KEY (id),
    CONSTRAINT projects_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT projects_tenant_id_slug_key UNIQUE (tenant_id, slug),
    CONSTRAINT projects_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT projects_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES public.users (tenant_id, id),
    CONSTRAINT projects_slug_check CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) <= 63),
    CONSTRAINT projects_name_check CHECK (char_length(name) BETWEEN 1 AND 200)
);
CREATE INDEX projects_user_id_idx ON public.projects (tenant_id, user_id);
COMMENT ON TABLE public.projects IS 'What a tenant builds: agents, workflows and requirements in one place';

CREATE TABLE public.agents (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid,
    name text NOT NULL,
    model text NOT NULL,
    instructions text DEFAULT '' NOT NULL,
    configuration jsonb DEFAULT '{}' NOT NULL,
    archived_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT agents_pkey PRIMARY KEY (id),
    CONSTRAINT agents_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT agents_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT agents_project_id_fkey FOREIGN KEY (tenant_id, project_id) REFERENCES public.projects (tenant_id, id),
    CONSTRAINT agents_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES public.users (tenant_id, id),
    CONSTRAINT agents_name_check CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT agents_configuration_check CHECK (jsonb_typeof(configuration) = 'object')
);
CREATE INDEX agents_project_id_idx ON public.agents (tenant_id, project_id);
CREATE INDEX agents_user_id_idx ON public.agents (tenant_id, user_id);
COMMENT ON TABLE public.agents IS 'An agent as configured now; archived, never deleted, because executions name it';

CREATE TABLE public.workflows (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid,
    name text NOT NULL,
    definition jsonb DEFAULT '{}' NOT NULL,
    status text DEFAULT 'draft' NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT workflows_pkey PRIMARY KEY (id),
    CONSTRAINT workflows_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT workflows_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT workflows_project_id_fkey FOREIGN KEY (tenant_id, project_id) REFERENCES public.projects (tenant_id, id),
    CONSTRAINT workflows_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES public.users (tenant_id, id),
    CONSTRAINT workflows_name_check CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT workflows_definition_check CHECK (jsonb_typeof(definition) = 'object'),
    CONSTRAINT workflows_status_check CHECK (status IN ('draft', 'active', 'retired'))
);
CREATE INDEX workflows_project_id_idx ON public.workflows (tenant_id, project_id);
CREATE INDEX workflows_user_id_idx ON public.workflows (tenant_id, user_id);
COMMENT ON TABLE public.workflows IS 'Agents in an order, with what passes between them';

CREATE TABLE public.blueprints (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid,
    slug text NOT NULL,
    name text NOT NULL,
    summary text DEFAULT '' NOT NULL,
    definition jsonb DEFAULT '{}' NOT NULL,
    published_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT blueprints_pkey PRIMARY KEY (id),
    CONSTRAINT blueprints_tenant_id_slug_key UNIQUE (tenant_id, slug),
    CONSTRAINT blueprints_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT blueprints_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES public.users (tenant_id, id),
    CONSTRAINT blueprints_slug_check CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) <= 63),
    CONSTRAINT blueprints_name_check CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT blueprints_definition_check CHECK (jsonb_typeof(definition) = 'object')
);
CREATE INDEX blueprints_user_id_idx ON public.blueprints (tenant_id, user_id);
CREATE INDEX blueprints_published_at_idx ON public.blueprints (published_at DESC) WHERE published_at IS NOT NULL;
COMMENT ON TABLE public.blueprints IS 'The marketplace: what a tenant offers to all once it is published';
COMMENT ON COLUMN public.blueprints.published_at IS 'NULL: seen by its own tenant only';

-- Many rows, read by time: a month is a partition, and dropping a month is dropping a table. The default partition
-- catches what no month was made for (app.create_executions_partition makes them).
CREATE TABLE public.executions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    agent_id uuid,
    workflow_id uuid,
    user_id uuid,
    type text NOT NULL,
    status text DEFAULT 'queued' NOT NULL,
    input_data jsonb DEFAULT '{}' NOT NULL,
    result jsonb,
    error_message text,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT executions_pkey PRIMARY KEY (id, created_at),
    CONSTRAINT executions_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT executions_agent_id_fkey FOREIGN KEY (tenant_id, agent_id) REFERENCES public.agents (tenant_id, id),
    CONSTRAINT executions_workflow_id_fkey FOREIGN KEY (tenant_id, workflow_id)
        REFERENCES public.workflows (tenant_id, id),
    CONSTRAINT executions_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES public.users (tenant_id, id),
    CONSTRAINT executions_subject_check CHECK (num_nonnulls(agent_id, workflow_id) = 1),
    CONSTRAINT executions_type_check CHECK (type IN ('manual', 'scheduled', 'triggered')),
    CONSTRAINT executions_status_check CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT executions_finished_at_check CHECK (finished_at >= started_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX executions_tenant_id_created_at_idx ON public.executions (tenant_id, created_at DESC);
CREATE INDEX executions_created_at_idx ON public.executions (created_at);
CREATE INDEX executions_agent_id_idx ON public.executions (tenant_id, agent_id);
CREATE INDEX executions_workflow_id_idx ON public.executions (tenant_id, workflow_id);
CREATE INDEX executions_user_id_idx ON public.executions (tenant_id, user_id);
CREATE INDEX executions_status_idx ON public.executions (tenant_id, status) WHERE status IN ('queued', 'running');
COMMENT ON TABLE public.executions IS 'One run of an agent or a workflow; partitioned by month';
CREATE TABLE partitions.executions_default PARTITION OF public.executions DEFAULT;
COMMENT ON TABLE partitions.executions_default IS 'Executions of months that have no partition of their own';

CREATE TABLE public.audit_logs (
    tenant_id uuid NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    resource_type text NOT NULL,
    entity_id uuid,
    metadata jsonb DEFAULT '{}' NOT NULL,
    ip_address inet,
    created_at timestamptz DEFAULT now() NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    CONSTRAINT audit_logs_pkey PRIMARY KEY (id),
    CONSTRAINT audit_logs_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT audit_logs_actor_id_fkey FOREIGN KEY (tenant_id, actor_id) REFERENCES public.users (tenant_id, id),
    CONSTRAINT audit_logs_action_check CHECK (action <> ''),
    CONSTRAINT audit_logs_metadata_check CHECK (jsonb_typeof(metadata) = 'object')
);
CREATE INDEX audit_logs_tenant_id_created_at_idx ON public.audit_logs (tenant_id, created_at DESC);
CREATE INDEX audit_logs_created_at_idx ON public.audit_logs (created_at);
CREATE INDEX audit_logs_actor_id_idx ON public.audit_logs (tenant_id, actor_id);
CREATE INDEX audit_logs_entity_id_idx ON public.audit_logs (tenant_id, resource_type, entity_id);
COMMENT ON TABLE public.audit_logs IS 'Who did what to which resource, and when; only ever added to';

CREATE TRIGGER tenants_touch_updated_at BEFORE UPDATE ON public.tenants
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER users_touch_updated_at BEFORE UPDATE ON public.users
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER projects_touch_updated_at BEFORE UPDATE ON public.projects
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER agents_touch_updated_at BEFORE UPDATE ON public.agents
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER workflows_touch_updated_at BEFORE UPDATE ON public.workflows
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER blueprints_touch_updated_at BEFORE UPDATE ON public.blueprints
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

-- Made by whoever owns the table, from a scheduler, some months ahead:
-- CALL app.create_executions_partition(current_date + 32)
CREATE PROCEDURE app.create_executions_partition(month date)
    LANGUAGE plpgsql
    SET search_path = ''
    AS $$
DECLARE
    -- Months are those of UTC, whatever the session's time zone.
    first_moment timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
    next_moment timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    partition text := 'executions_' || to_char(month, 'YYYY_MM');
BEGIN
    IF to_regclass(format('partitions.%I', partition)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE partitions.%I (LIKE public.executions INCLUDING ALL)', partition);
    EXECUTE format('ALTER TABLE partitions.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('REVOKE ALL ON TABLE partitions.%I FROM PUBLIC, anon, authenticated, service_role', partition);
    -- Rows that came before their month was made move in. Forced policies would hide them from the owner as well;
    -- the lock that lifting them takes is the one that attaching takes anyway.
    ALTER TABLE partitions.executions_default NO FORCE ROW LEVEL SECURITY;
    EXECUTE format('ALTER TABLE partitions.%I NO FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format(
        'WITH moved AS ('
        '  DELETE FROM partitions.executions_default WHERE created_at >= %L AND created_at < %L RETURNING *'
        ') INSERT INTO partitions.%I SELECT * FROM moved',
        first_moment, next_moment, partition);
    EXECUTE format('ALTER TABLE partitions.%I FORCE ROW LEVEL SECURITY', partition);
    ALTER TABLE partitions.executions_default FORCE ROW LEVEL SECURITY;
    EXECUTE format(
        'ALTER TABLE public.executions ATTACH PARTITION partitions.%I FOR VALUES FROM (%L) TO (%L)',
        partition, first_moment, next_moment);
END
$$;
COMMENT ON PROCEDURE app.create_executions_partition(date) IS 'Makes the partition of a month unless it is there';
REVOKE ALL ON PROCEDURE app.create_executions_partition(date) FROM PUBLIC, anon, authenticated, service_role;

REVOKE ALL ON TABLE
    public.tenants, public.users, public.projects, public.agents, public.workflows, public.blueprints,
    public.executions, partitions.executions_default, public.audit_logs
    FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON SEQUENCE public.audit_logs_id_seq FROM PUBLIC, anon, authenticated, service_role;

ALTER TABLE public.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.agents ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.workflows ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.blueprints ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.audit_logs ENABLE ROW LEVEL SECURITY;
-- No policy is ever made for a partition: its rows are reached through the parent or not at all.
ALTER TABLE partitions.executions_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
