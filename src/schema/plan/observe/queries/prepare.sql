-- Runs once on a shadow: what keeps count of what is dropped, rewritten and granted while steps are watched.
CREATE SCHEMA af_db_observer;
CREATE UNLOGGED TABLE af_db_observer.log (
    what text NOT NULL,
    kind text,
    identity text,
    class oid,
    object oid,
    part int,
    named boolean,
    -- When the statement began, which tells the statements of one transaction apart.
    at timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp()
);
CREATE FUNCTION af_db_observer.dropped() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO af_db_observer.log
    SELECT 'dropped', object_type, object_identity, classid, objid, objsubid, original
    FROM pg_catalog.pg_event_trigger_dropped_objects()
    WHERE NOT is_temporary;
END $$;
CREATE FUNCTION af_db_observer.rewritten() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO af_db_observer.log (what, class, object)
    VALUES (
        'rewritten', 'pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.pg_event_trigger_table_rewrite_oid()
    );
END $$;
CREATE FUNCTION af_db_observer.granted() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    -- GRANT does not tell on what.
    INSERT INTO af_db_observer.log (what, class, object)
    SELECT 'granted', classid, objid
    FROM pg_catalog.pg_event_trigger_ddl_commands();
END $$;
CREATE EVENT TRIGGER af_db_observer_dropped ON sql_drop EXECUTE FUNCTION af_db_observer.dropped();
CREATE EVENT TRIGGER af_db_observer_rewritten ON table_rewrite EXECUTE FUNCTION af_db_observer.rewritten();
CREATE EVENT TRIGGER af_db_observer_granted ON ddl_command_end
    WHEN TAG IN (
        'GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES', 'CREATE POLICY', 'ALTER POLICY', 'CREATE FUNCTION',
        'ALTER FUNCTION', 'CREATE PROCEDURE', 'ALTER PROCEDURE', 'ALTER ROUTINE', 'ALTER VIEW', 'ALTER SCHEMA'
    )
    EXECUTE FUNCTION af_db_observer.granted();
-- A file may switch ordinary triggers off.
ALTER EVENT TRIGGER af_db_observer_dropped ENABLE ALWAYS;
ALTER EVENT TRIGGER af_db_observer_rewritten ENABLE ALWAYS;
ALTER EVENT TRIGGER af_db_observer_granted ENABLE ALWAYS;
-- A file may act as any role.
GRANT USAGE ON SCHEMA af_db_observer TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA af_db_observer TO PUBLIC;
-- The grants just above were counted too.
DELETE FROM af_db_observer.log;
