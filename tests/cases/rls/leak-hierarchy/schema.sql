SET ROLE app_owner;
CREATE TABLE orgs (id int PRIMARY KEY, parent_id int REFERENCES orgs, name text);
CREATE TABLE docs (id int PRIMARY KEY, org_id int NOT NULL REFERENCES orgs, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
ALTER TABLE docs FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON docs USING (org_id IN (WITH RECURSIVE up AS (SELECT id, parent_id FROM orgs WHERE id = current_setting('app.org')::int UNION ALL SELECT o.id, o.parent_id FROM orgs o JOIN up ON o.id = up.parent_id) SELECT id FROM up));
GRANT SELECT ON docs TO app_user;
GRANT SELECT ON orgs TO app_user;
RESET ROLE;
