-- Runs attempts in one round trip and gives the answers of each in a row. An attempt is a list of steps in a sub-transaction that is
-- always undone; a step runs as an identity (session user, role, settings), as the owner of the scratch, or as whatever the
-- step before left. Each statement and each identity comes once: a step is three numbers, who (0 whatever was left, 1 the
-- owner, else the identity before the last two), the statement, and whether it reads (1) and must succeed (2).
CREATE FUNCTION pg_temp.af_probe(said text[], people jsonb, before int[], begins int[], steps int[])
RETURNS SETOF jsonb LANGUAGE plpgsql AS $af$
DECLARE
    me text := session_user;
    number int;
    at int;
    last int;
    person jsonb;
    setting record;
    given text;
    touched bigint;
    code text;
    words text;
    ended boolean;
    answers jsonb;
BEGIN
    FOREACH number IN ARRAY before LOOP
        BEGIN
            EXECUTE said[number];
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    FOR number IN 1 .. array_length(begins, 1) - 1 LOOP
        answers := '[]';
        at := begins[number];
        last := begins[number + 1];
        BEGIN
            ended := false;
            WHILE at < last AND NOT ended LOOP
                IF steps[at] > 0 THEN
                    PERFORM pg_catalog.set_config('session_authorization', me, true), pg_catalog.set_config('role', 'none', true);
                    IF steps[at] > 1 THEN
                        person := people -> (steps[at] - 2);
                        FOR setting IN SELECT key, value FROM jsonb_each_text(person -> 'settings') LOOP
                            PERFORM pg_catalog.set_config(setting.key, setting.value, true);
                        END LOOP;
                        PERFORM pg_catalog.set_config('session_authorization', person ->> 'session', true);
                        IF person ->> 'role' <> person ->> 'session' THEN
                            PERFORM pg_catalog.set_config('role', person ->> 'role', true);
                        END IF;
                    END IF;
                END IF;
                given := NULL;
                touched := NULL;
                code := NULL;
                words := NULL;
                BEGIN
                    IF steps[at + 2] & 1 = 1 THEN
                        EXECUTE said[steps[at + 1]] INTO given;
                    ELSE
                        EXECUTE said[steps[at + 1]];
                        GET DIAGNOSTICS touched = ROW_COUNT;
                    END IF;
                EXCEPTION WHEN OTHERS THEN
                    code := SQLSTATE;
                    words := SQLERRM;
                    ended := steps[at + 2] & 2 = 2;
                END;
                answers := answers || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
                    'given', given, 'touched', touched, 'code', code, 'words', words)));
                at := at + 3;
            END LOOP;
            RAISE EXCEPTION USING ERRCODE = 'AFDB0', MESSAGE = 'undone';
        EXCEPTION
            WHEN SQLSTATE 'AFDB0' THEN NULL;
            WHEN OTHERS THEN
                answers := answers || jsonb_build_array(jsonb_build_object('code', SQLSTATE, 'words', SQLERRM));
        END;
        RETURN NEXT answers;
    END LOOP;
END $af$
