-- af-db: no-transaction
-- Closed before anything else: grants go first, so that no row shows on the way back.

-- prd_versions
REVOKE ALL ON TABLE public.prd_versions FROM authenticated, service_role;
ALTER TABLE public.prd_versions NO FORCE ROW LEVEL SECURITY;
DROP POLICY trigger_insert ON public.prd_versions;
DROP POLICY service_select ON public.prd_versions;
DROP POLICY tenant_select ON public.prd_versions;

-- agent_versions
REVOKE ALL ON TABLE public.agent_versions FROM authenticated, service_role;
ALTER TABLE public.agent_versions NO FORCE ROW LEVEL SECURITY;
DROP POLICY trigger_insert ON public.agent_versions;
DROP POLICY service_select ON public.agent_versions;
DROP POLICY tenant_select ON public.agent_versions;

-- prds
REVOKE ALL ON TABLE public.prds FROM authenticated, service_role;
ALTER TABLE public.prds NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.prds;
DROP POLICY tenant_update ON public.prds;
DROP POLICY tenant_insert ON public.prds;
DROP POLICY tenant_select ON public.prds;

-- usage_records
REVOKE ALL ON TABLE public.usage_records FROM authenticated, service_role;
ALTER TABLE public.usage_records NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.usage_records;
DROP POLICY tenant_select ON public.usage_records;

-- subscriptions
REVOKE ALL ON TABLE public.subscriptions FROM authenticated, service_role;
ALTER TABLE public.subscriptions NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.subscriptions;
DROP POLICY tenant_select ON public.subscriptions;

-- plans
REVOKE ALL ON TABLE public.plans FROM authenticated, service_role;
ALTER TABLE public.plans NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.plans;
DROP POLICY everyone_select ON public.plans;

-- api_keys
REVOKE ALL ON TABLE public.api_keys FROM authenticated, service_role;
ALTER TABLE public.api_keys NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.api_keys;
DROP POLICY tenant_update ON public.api_keys;
DROP POLICY tenant_select ON public.api_keys;

-- audit_logs
REVOKE ALL ON TABLE public.audit_logs FROM authenticated, service_role;
ALTER TABLE public.audit_logs NO FORCE ROW LEVEL SECURITY;
DROP POLICY service_insert ON public.audit_logs;
DROP POLICY service_select ON public.audit_logs;
DROP POLICY tenant_select ON public.audit_logs;

-- executions
REVOKE ALL ON TABLE public.executions FROM authenticated, service_role;
ALTER TABLE public.executions NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.executions;
DROP POLICY tenant_insert ON public.executions;
DROP POLICY tenant_select ON public.executions;

-- blueprints
REVOKE ALL ON TABLE public.blueprints FROM authenticated, service_role;
ALTER TABLE public.blueprints NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.blueprints;
DROP POLICY tenant_delete ON public.blueprints;
DROP POLICY tenant_update ON public.blueprints;
DROP POLICY tenant_insert ON public.blueprints;
DROP POLICY market_select ON public.blueprints;

-- workflows
REVOKE ALL ON TABLE public.workflows FROM authenticated, service_role;
ALTER TABLE public.workflows NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.workflows;
DROP POLICY tenant_delete ON public.workflows;
DROP POLICY tenant_update ON public.workflows;
DROP POLICY tenant_insert ON public.workflows;
DROP POLICY tenant_select ON public.workflows;

-- agents
REVOKE ALL ON TABLE public.agents FROM authenticated, service_role;
ALTER TABLE public.agents NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.agents;
DROP POLICY tenant_update ON public.agents;
DROP POLICY tenant_insert ON public.agents;
DROP POLICY tenant_select ON public.agents;

-- projects
REVOKE ALL ON TABLE public.projects FROM authenticated, service_role;
ALTER TABLE public.projects NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.projects;
DROP POLICY tenant_delete ON public.projects;
DROP POLICY tenant_update ON public.projects;
DROP POLICY tenant_insert ON public.projects;
DROP POLICY tenant_select ON public.projects;

-- users
REVOKE ALL ON TABLE public.users FROM authenticated, service_role;
ALTER TABLE public.users NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.users;
DROP POLICY self_update ON public.users;
DROP POLICY tenant_select ON public.users;

-- tenants
REVOKE ALL ON TABLE public.tenants FROM authenticated, service_role;
ALTER TABLE public.tenants NO FORCE ROW LEVEL SECURITY;
DROP POLICY service ON public.tenants;
DROP POLICY own_update ON public.tenants;
DROP POLICY own_select ON public.tenants;
