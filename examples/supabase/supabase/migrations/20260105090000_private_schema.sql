-- What policies ask lives in a schema that the API does not expose, and nothing new in `public` is open by default:
-- Supabase grants every new table to anon and authenticated, which a forgotten policy would turn into a leak.
CREATE SCHEMA private;
COMMENT ON SCHEMA private IS 'What policies call; not exposed by the API';
GRANT USAGE ON SCHEMA private TO authenticated, service_role;

ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON FUNCTIONS FROM anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
