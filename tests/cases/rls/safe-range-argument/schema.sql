CREATE TYPE state AS ENUM ('asked', 'booked');
CREATE TABLE stays (id int PRIMARY KEY, tenant_id int NOT NULL, nights daterange NOT NULL CHECK (NOT isempty(nights)), state state NOT NULL, guest text NOT NULL);
ALTER TABLE stays ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON stays TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE FUNCTION during(at daterange, states state[]) RETURNS TABLE (guest text) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$ SELECT s.guest FROM public.stays s WHERE s.nights && at AND s.state = ANY (states) AND s.tenant_id = nullif(current_setting('app.tenant_id', true), '')::int $$;
GRANT SELECT ON stays TO app_user;
