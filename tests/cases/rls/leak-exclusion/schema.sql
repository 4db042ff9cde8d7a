CREATE EXTENSION btree_gist;
SET ROLE app_owner;
CREATE TABLE public.bookings (id int PRIMARY KEY, tenant_id int NOT NULL, room text NOT NULL, during tstzrange NOT NULL, EXCLUDE USING gist (room WITH =, during WITH &&));
ALTER TABLE bookings ENABLE ROW LEVEL SECURITY;
ALTER TABLE bookings FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON bookings USING (tenant_id = nullif(current_setting('app.tenant_id', true),'')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON bookings TO app_user;
RESET ROLE;
