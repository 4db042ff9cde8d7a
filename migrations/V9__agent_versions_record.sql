CREATE FUNCTION app.number_version() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.version := 1;
    ELSIF NEW IS DISTINCT FROM OLD THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.number_version() IS 'Numbers the states of a row; runs before updated_at is touched';

-- Runs as its owner: no role of a request may write versions, or history could be made up.
CREATE FUNCTION app.record_agent_version() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = ''
    AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.version IS DISTINCT FROM OLD.version THEN
        INSERT INTO public.agent_versions (tenant_id, agent_id, version, snapshot, changed_by)
        VALUES (NEW.tenant_id, NEW.id, NEW.version, to_jsonb(NEW), app.user_id());
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.record_agent_version() IS 'Keeps each state of an agent';
REVOKE ALL ON FUNCTION app.number_version(), app.record_agent_version()
    FROM PUBLIC, anon, authenticated, service_role;

-- Triggers fire in the order of their names: numbering comes before touch_updated_at, which changes every row.
CREATE TRIGGER agents_number_version BEFORE INSERT OR UPDATE ON public.agents
    FOR EACH ROW EXECUTE FUNCTION app.number_version();
CREATE TRIGGER agents_record_version AFTER INSERT OR UPDATE ON public.agents
    FOR EACH ROW EXECUTE FUNCTION app.record_agent_version();

-- Agents that were there already: their state now is their first. Making the triggers holds writers off until here,
-- readers are not stopped, so that no change falls between.
INSERT INTO public.agent_versions (tenant_id, agent_id, version, snapshot, changed_by, changed_at)
SELECT tenant_id, id, version, to_jsonb(agents), created_by, updated_at
FROM public.agents
ON CONFLICT (tenant_id, agent_id, version) DO NOTHING;
