-- Runs attempts in one round trip. Each attempt is a list of steps in a sub-transaction that is always undone; a step
-- runs as an identity (session user, role, settings), as the owner of the scratch, or as whatever the step before left.
CREATE FUNCTION pg_temp.af_probe(probes jsonb) RETURNS jsonb LANGUAGE plpgsql AS $af$
DECLARE
    me text := session_user;
    probe jsonb;
    step jsonb;
    setting record;
    given text;
    touched bigint;
    code text;
    words text;
    ended boolean;
    answers jsonb;
    everything jsonb := '[]';
BEGIN
    FOR probe IN SELECT value FROM jsonb_array_elements(probes) LOOP
        answers := '[]';
        BEGIN
            ended := false;
            FOR step IN SELECT value FROM jsonb_array_elements(probe) LOOP
                IF ended THEN EXIT; END IF;
                IF step ->> 'who' <> 'kept' THEN
                    EXECUTE format('SET LOCAL SESSION AUTHORIZATION %I', me);
                    EXECUTE 'SET LOCAL ROLE none';
                    IF step ->> 'who' = 'identity' THEN
                        FOR setting IN SELECT key, value FROM jsonb_each_text(step -> 'settings') LOOP
                            PERFORM set_config(setting.key, setting.value, true);
                        END LOOP;
                        EXECUTE format('SET LOCAL SESSION AUTHORIZATION %I', step ->> 'session');
                        IF step ->> 'role' <> step ->> 'session' THEN
                            EXECUTE format('SET LOCAL ROLE %I', step ->> 'role');
                        END IF;
                    END IF;
                END IF;
                given := NULL;
                touched := NULL;
                code := NULL;
                words := NULL;
                BEGIN
                    IF (step ->> 'reads')::boolean THEN
                        EXECUTE step ->> 'sql' INTO given;
                    ELSE
                        EXECUTE step ->> 'sql';
                        GET DIAGNOSTICS touched = ROW_COUNT;
                    END IF;
                EXCEPTION WHEN OTHERS THEN
                    code := SQLSTATE;
                    words := SQLERRM;
                    ended := (step ->> 'must')::boolean;
                END;
                answers := answers || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
                    'given', given, 'touched', touched, 'code', code, 'words', words)));
            END LOOP;
            RAISE EXCEPTION USING ERRCODE = 'AFDB0', MESSAGE = 'undone';
        EXCEPTION
            WHEN SQLSTATE 'AFDB0' THEN NULL;
            WHEN OTHERS THEN
                answers := answers || jsonb_build_array(jsonb_build_object('code', SQLSTATE, 'words', SQLERRM));
        END;
        everything := everything || jsonb_build_array(answers);
    END LOOP;
    RETURN everything;
END $af$
