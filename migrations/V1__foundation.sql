-- The roles of a request and what policies ask about it. On Supabase the roles exist; elsewhere they are made here.
-- af-db: allow T17 reason="roles have no IF NOT EXISTS; the block makes only those that are missing"
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN NOINHERIT', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- roles belong to the cluster: another database made it this moment
            END;
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA app;
COMMENT ON SCHEMA app IS 'What policies and triggers call; not part of the API';
GRANT USAGE ON SCHEMA app TO authenticated, service_role;

CREATE SCHEMA partitions;
COMMENT ON SCHEMA partitions IS 'Partitions made while the service runs; reached through their parents only';

-- A setting that was never made reads NULL, one made in an earlier transaction of a pooled session reads '':
-- both mean that nobody is asking, and then no row matches.
CREATE FUNCTION app.claims() RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = ''
    AS $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
COMMENT ON FUNCTION app.claims() IS 'The verified claims of the request, NULL outside of one';

CREATE FUNCTION app.tenant_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = ''
    AS $$ SELECT nullif(app.claims() ->> 'tenant_id', '')::uuid $$;
COMMENT ON FUNCTION app.tenant_id() IS 'The tenant the request speaks for, NULL when it speaks for none';

CREATE FUNCTION app.user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = ''
    AS $$ SELECT nullif(app.claims() ->> 'sub', '')::uuid $$;
COMMENT ON FUNCTION app.user_id() IS 'The user who makes the request, NULL when a service makes it';

CREATE FUNCTION app.touch_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
    AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.touch_updated_at() IS 'Keeps updated_at true whatever the statement says';

REVOKE ALL ON FUNCTION app.claims(), app.tenant_id(), app.user_id(), app.touch_updated_at()
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.claims(), app.tenant_id(), app.user_id() TO authenticated, service_role;
