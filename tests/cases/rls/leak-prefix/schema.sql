CREATE TABLE objects (id int PRIMARY KEY, tenant text NOT NULL, path text);
ALTER TABLE objects ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON objects TO authenticated USING (tenant LIKE (auth.jwt() #>> '{app_metadata,slug}') || '%');
GRANT SELECT ON objects TO authenticated;
