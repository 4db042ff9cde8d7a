CREATE TABLE bookings (id int PRIMARY KEY, tenant_id int NOT NULL, during tsrange NOT NULL, EXCLUDE USING gist (int4range(tenant_id, tenant_id, '[]') WITH &&, during WITH &&));
ALTER TABLE bookings ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON bookings TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
GRANT SELECT, INSERT ON bookings TO app_user;
