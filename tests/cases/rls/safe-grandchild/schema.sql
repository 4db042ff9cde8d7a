CREATE TABLE projects (id int PRIMARY KEY, tenant_id int NOT NULL, name text NOT NULL);
CREATE TABLE tasks (id int PRIMARY KEY, project_id int NOT NULL REFERENCES projects ON DELETE CASCADE, title text NOT NULL);
CREATE TABLE notes (id int PRIMARY KEY, task_id int NOT NULL REFERENCES tasks ON DELETE CASCADE, body text NOT NULL, done boolean NOT NULL DEFAULT false);
ALTER TABLE projects ENABLE ROW LEVEL SECURITY; ALTER TABLE tasks ENABLE ROW LEVEL SECURITY; ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON projects TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY p ON tasks TO app_user USING (EXISTS (SELECT FROM projects p WHERE p.id = project_id));
CREATE POLICY r ON notes FOR SELECT TO app_user USING (EXISTS (SELECT FROM tasks t WHERE t.id = task_id));
CREATE POLICY w ON notes FOR UPDATE TO app_user USING (NOT done AND EXISTS (SELECT FROM tasks t WHERE t.id = task_id));
GRANT SELECT, INSERT, UPDATE, DELETE ON projects, tasks TO app_user; GRANT SELECT, UPDATE ON notes TO app_user;
