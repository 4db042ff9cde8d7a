CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner_id uuid NOT NULL DEFAULT auth.uid(), body text);
CREATE TABLE attachments (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note_id bigint NOT NULL REFERENCES notes ON DELETE CASCADE, url text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE attachments ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON notes TO authenticated USING (owner_id=(SELECT auth.uid()));
CREATE POLICY a ON attachments TO authenticated USING (note_id IN (SELECT id FROM notes));
GRANT SELECT, INSERT, UPDATE, DELETE ON notes, attachments TO authenticated;
