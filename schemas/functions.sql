CREATE OR REPLACE FUNCTION app.claims()
 RETURNS jsonb
 LANGUAGE sql
 STABLE PARALLEL SAFE
 SET search_path TO ''
AS $function$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $function$;

COMMENT ON FUNCTION app.claims() IS 'The verified claims of the request, NULL outside of one';

CREATE OR REPLACE FUNCTION app.number_version()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.version := 1;
    ELSIF NEW IS DISTINCT FROM OLD THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END
$function$;

COMMENT ON FUNCTION app.number_version() IS 'Numbers the states of a row; runs before updated_at is touched';

CREATE OR REPLACE FUNCTION app.record_agent_version()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.version IS DISTINCT FROM OLD.version THEN
        INSERT INTO public.agent_versions (tenant_id, agent_id, version, snapshot, changed_by)
        VALUES (NEW.tenant_id, NEW.id, NEW.version, to_jsonb(NEW), app.user_id());
    END IF;
    RETURN NULL;
END
$function$;

COMMENT ON FUNCTION app.record_agent_version() IS 'Keeps each state of an agent';

CREATE OR REPLACE FUNCTION app.record_prd_version()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.version IS DISTINCT FROM OLD.version THEN
        INSERT INTO public.prd_versions (tenant_id, prd_id, version, snapshot, changed_by)
        VALUES (NEW.tenant_id, NEW.id, NEW.version, to_jsonb(NEW), app.user_id());
    END IF;
    RETURN NULL;
END
$function$;

COMMENT ON FUNCTION app.record_prd_version() IS 'Keeps each state of a requirement';

CREATE OR REPLACE FUNCTION app.tenant_id()
 RETURNS uuid
 LANGUAGE sql
 STABLE PARALLEL SAFE
 SET search_path TO ''
AS $function$ SELECT nullif(app.claims() ->> 'tenant_id', '')::uuid $function$;

COMMENT ON FUNCTION app.tenant_id() IS 'The tenant the request speaks for, NULL when it speaks for none';

CREATE OR REPLACE FUNCTION app.touch_updated_at()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$function$;

COMMENT ON FUNCTION app.touch_updated_at() IS 'Keeps updated_at true whatever the statement says';

CREATE OR REPLACE FUNCTION app.user_id()
 RETURNS uuid
 LANGUAGE sql
 STABLE PARALLEL SAFE
 SET search_path TO ''
AS $function$ SELECT nullif(app.claims() ->> 'sub', '')::uuid $function$;

COMMENT ON FUNCTION app.user_id() IS 'The user who makes the request, NULL when a service makes it';

CREATE OR REPLACE PROCEDURE app.create_executions_partition(IN month date)
 LANGUAGE plpgsql
 SET search_path TO ''
AS $procedure$
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
$procedure$;

COMMENT ON PROCEDURE app.create_executions_partition(date) IS 'Makes the partition of a month unless it is there';
