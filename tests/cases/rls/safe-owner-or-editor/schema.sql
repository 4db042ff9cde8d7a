CREATE TABLE docs (id int PRIMARY KEY, owner_id uuid NOT NULL, editor_id uuid, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON docs FOR SELECT TO authenticated USING (owner_id = auth.uid() OR editor_id = auth.uid());
GRANT SELECT ON docs TO authenticated;
