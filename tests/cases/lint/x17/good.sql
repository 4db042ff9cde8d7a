CREATE FUNCTION f(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('DROP TABLE %I', t); END $$;
CREATE FUNCTION g(t text) RETURNS void LANGUAGE plpgsql AS $b$ BEGIN EXECUTE 'DROP TABLE ' || quote_ident(t) || ' CASCADE'; END $b$;
CREATE FUNCTION h(t text) RETURNS text LANGUAGE sql AS $$ SELECT 'a' || t $$;
