CREATE TABLE objects (id int PRIMARY KEY, path text NOT NULL);
ALTER TABLE objects ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON objects TO authenticated USING (path LIKE (auth.jwt() #>> '{app_metadata,slug}') || '%');
GRANT SELECT ON objects TO authenticated;
