-- af-db: no-transaction
-- What each role may see and do. Nobody is granted anything before this file, so its order opens no window: a table's
-- policies come first, then they are forced on its owner as well, its grants come last. Outside a transaction, so that
-- each table is locked alone.
--
-- authenticated  a signed-in user: the rows of the tenant in the token, and the commands that the product offers
-- service_role   our own services: all rows, all commands but emptying a table; reads versions, never writes them
-- anon           nothing

-- tenants
CREATE POLICY own_select ON public.tenants
    FOR SELECT TO authenticated USING (id = (SELECT app.tenant_id()));
CREATE POLICY own_update ON public.tenants
    FOR UPDATE TO authenticated
    USING (id = (SELECT app.tenant_id()))
    WITH CHECK (id = (SELECT app.tenant_id()));
CREATE POLICY service ON public.tenants
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.tenants FORCE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE public.tenants TO authenticated;
GRANT UPDATE (name) ON TABLE public.tenants TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.tenants TO service_role;

-- users
CREATE POLICY tenant_select ON public.users
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY self_update ON public.users
    FOR UPDATE TO authenticated
    USING (tenant_id = (SELECT app.tenant_id()) AND id = (SELECT app.user_id()))
    WITH CHECK (tenant_id = (SELECT app.tenant_id()) AND id = (SELECT app.user_id()));
CREATE POLICY service ON public.users
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.users FORCE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE public.users TO authenticated;
-- Not the role and not the tenant: nobody promotes or moves themselves.
GRANT UPDATE (display_name) ON TABLE public.users TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.users TO service_role;

-- projects
CREATE POLICY tenant_select ON public.projects
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_insert ON public.projects
    FOR INSERT TO authenticated WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_update ON public.projects
    FOR UPDATE TO authenticated
    USING (tenant_id = (SELECT app.tenant_id()))
    WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_delete ON public.projects
    FOR DELETE TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service ON public.projects
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.projects FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.projects TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.projects TO service_role;

-- agents
CREATE POLICY tenant_select ON public.agents
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_insert ON public.agents
    FOR INSERT TO authenticated WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_update ON public.agents
    FOR UPDATE TO authenticated
    USING (tenant_id = (SELECT app.tenant_id()))
    WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service ON public.agents
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.agents FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON TABLE public.agents TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.agents TO service_role;

-- workflows
CREATE POLICY tenant_select ON public.workflows
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_insert ON public.workflows
    FOR INSERT TO authenticated WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_update ON public.workflows
    FOR UPDATE TO authenticated
    USING (tenant_id = (SELECT app.tenant_id()))
    WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_delete ON public.workflows
    FOR DELETE TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service ON public.workflows
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.workflows FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.workflows TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.workflows TO service_role;

-- blueprints
CREATE POLICY market_select ON public.blueprints
    FOR SELECT TO authenticated
    USING (
        tenant_id = (SELECT app.tenant_id())
        OR published_at IS NOT NULL AND (SELECT app.tenant_id()) IS NOT NULL
    );
CREATE POLICY tenant_insert ON public.blueprints
    FOR INSERT TO authenticated WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_update ON public.blueprints
    FOR UPDATE TO authenticated
    USING (tenant_id = (SELECT app.tenant_id()))
    WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_delete ON public.blueprints
    FOR DELETE TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service ON public.blueprints
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.blueprints FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.blueprints TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.blueprints TO service_role;

-- executions
CREATE POLICY tenant_select ON public.executions
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_insert ON public.executions
    FOR INSERT TO authenticated WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service ON public.executions
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.executions FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON TABLE public.executions TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.executions TO service_role;

-- audit_logs
CREATE POLICY tenant_select ON public.audit_logs
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service_select ON public.audit_logs
    FOR SELECT TO service_role USING (true);
CREATE POLICY service_insert ON public.audit_logs
    FOR INSERT TO service_role WITH CHECK (true);
ALTER TABLE public.audit_logs FORCE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE public.audit_logs TO authenticated;
-- Added to, never changed: not by us either.
GRANT SELECT, INSERT ON TABLE public.audit_logs TO service_role;

-- api_keys
CREATE POLICY tenant_select ON public.api_keys
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_update ON public.api_keys
    FOR UPDATE TO authenticated
    USING (tenant_id = (SELECT app.tenant_id()))
    WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service ON public.api_keys
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.api_keys FORCE ROW LEVEL SECURITY;
-- Everything but the hash.
GRANT SELECT (
    id, tenant_id, created_by, name, prefix, last_used_at, expires_at, revoked_at, created_at, updated_at
) ON TABLE public.api_keys TO authenticated;
GRANT UPDATE (name, revoked_at) ON TABLE public.api_keys TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.api_keys TO service_role;

-- plans
CREATE POLICY everyone_select ON public.plans
    FOR SELECT TO authenticated USING (true);
CREATE POLICY service ON public.plans
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.plans FORCE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE public.plans TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.plans TO service_role;

-- subscriptions
CREATE POLICY tenant_select ON public.subscriptions
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service ON public.subscriptions
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.subscriptions FORCE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE public.subscriptions TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.subscriptions TO service_role;

-- usage_records
CREATE POLICY tenant_select ON public.usage_records
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service ON public.usage_records
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.usage_records FORCE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE public.usage_records TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.usage_records TO service_role;

-- prds
CREATE POLICY tenant_select ON public.prds
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_insert ON public.prds
    FOR INSERT TO authenticated WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY tenant_update ON public.prds
    FOR UPDATE TO authenticated
    USING (tenant_id = (SELECT app.tenant_id()))
    WITH CHECK (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service ON public.prds
    FOR ALL TO service_role USING (true) WITH CHECK (true);
ALTER TABLE public.prds FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON TABLE public.prds TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.prds TO service_role;

-- agent_versions
CREATE POLICY tenant_select ON public.agent_versions
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service_select ON public.agent_versions
    FOR SELECT TO service_role USING (true);
-- For the owner, as whom the trigger writes: no other role is granted INSERT.
CREATE POLICY trigger_insert ON public.agent_versions
    FOR INSERT TO PUBLIC WITH CHECK (pg_trigger_depth() > 0);
ALTER TABLE public.agent_versions FORCE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE public.agent_versions TO authenticated;
GRANT SELECT ON TABLE public.agent_versions TO service_role;

-- prd_versions
CREATE POLICY tenant_select ON public.prd_versions
    FOR SELECT TO authenticated USING (tenant_id = (SELECT app.tenant_id()));
CREATE POLICY service_select ON public.prd_versions
    FOR SELECT TO service_role USING (true);
-- For the owner, as whom the trigger writes: no other role is granted INSERT.
CREATE POLICY trigger_insert ON public.prd_versions
    FOR INSERT TO PUBLIC WITH CHECK (pg_trigger_depth() > 0);
ALTER TABLE public.prd_versions FORCE ROW LEVEL SECURITY;
GRANT SELECT ON TABLE public.prd_versions TO authenticated;
GRANT SELECT ON TABLE public.prd_versions TO service_role;
