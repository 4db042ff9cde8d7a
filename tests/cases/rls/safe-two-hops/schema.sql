CREATE TABLE projects (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id int NOT NULL);
CREATE TABLE documents (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL);
CREATE TABLE document_projects (document_id uuid NOT NULL REFERENCES documents, project_id uuid NOT NULL REFERENCES projects, PRIMARY KEY (document_id, project_id));
ALTER TABLE projects ENABLE ROW LEVEL SECURITY; ALTER TABLE documents ENABLE ROW LEVEL SECURITY; ALTER TABLE document_projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON projects TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY p ON document_projects TO app_user USING (EXISTS (SELECT FROM projects p WHERE p.id = project_id));
CREATE POLICY p ON documents TO app_user USING (EXISTS (SELECT FROM document_projects dp JOIN projects p ON p.id = dp.project_id WHERE dp.document_id = documents.id));
GRANT SELECT ON projects, documents, document_projects TO app_user;
