CREATE TABLE members (user_id uuid NOT NULL, org_id int NOT NULL, role text NOT NULL DEFAULT 'member', status text NOT NULL DEFAULT 'active', PRIMARY KEY (user_id, org_id));
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON members TO authenticated USING (org_id IN (SELECT m.org_id FROM members m WHERE m.user_id=auth.uid()));
GRANT SELECT ON members TO authenticated;
