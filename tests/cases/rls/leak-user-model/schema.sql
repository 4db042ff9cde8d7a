CREATE TABLE notes (id bigserial PRIMARY KEY, owner_id uuid NOT NULL, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON notes FOR SELECT TO authenticated USING (owner_id=auth.uid());
CREATE POLICY d ON notes FOR DELETE TO authenticated USING (auth.uid() IS NOT NULL);
GRANT SELECT, DELETE ON notes TO authenticated;
