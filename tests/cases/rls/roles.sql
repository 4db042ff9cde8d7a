DO $$ DECLARE r record; BEGIN
  FOR r IN SELECT * FROM (VALUES ('anon','NOLOGIN NOINHERIT'),('authenticated','NOLOGIN NOINHERIT'),('service_role','NOLOGIN NOINHERIT BYPASSRLS'),('app_owner','NOLOGIN'),('app_user','NOLOGIN')) v(n,a) LOOP
    BEGIN EXECUTE format('CREATE ROLE %I %s', r.n, r.a); EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
  END LOOP; END $$;
GRANT ALL ON SCHEMA public TO app_owner;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role, app_user;
