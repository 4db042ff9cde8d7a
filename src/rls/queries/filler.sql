-- Inserts rows in one round trip, each in a sub-transaction of its own; gives for each the row as stored or the refusal.
CREATE FUNCTION pg_temp.af_fill(statements jsonb) RETURNS jsonb LANGUAGE plpgsql AS $af$
DECLARE
    statement jsonb;
    stored jsonb;
    code text;
    words text;
    named text;
    everything jsonb := '[]';
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    FOR statement IN SELECT value FROM jsonb_array_elements(statements) LOOP
        stored := NULL;
        code := NULL;
        words := NULL;
        named := NULL;
        BEGIN
            IF (statement ->> 'quiet')::boolean THEN
                SET LOCAL session_replication_role = replica;
            END IF;
            IF (statement ->> 'bare')::boolean THEN
                EXECUTE statement ->> 'sql';
                stored := '{}';
            ELSE
                EXECUTE statement ->> 'sql' INTO stored;
                -- A trigger that stamps who asks makes it a row of nobody: here the owner asks.
                IF NOT (statement ->> 'quiet')::boolean AND stored ->> (statement ->> 'column') IS NULL
                   AND statement ->> 'tenant' IS NOT NULL AND stored IS NOT NULL THEN
                    stored := NULL;
                    RAISE EXCEPTION 'a trigger took the row from its tenant' USING ERRCODE = 'AFDB1';
                END IF;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, words = MESSAGE_TEXT, named = CONSTRAINT_NAME;
        END;
        SET LOCAL session_replication_role = origin;
        everything := everything || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
            'stored', stored, 'code', code, 'words', words, 'constraint', named)));
    END LOOP;
    RETURN everything;
END $af$
