CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON docs FOR SELECT TO app_user USING (tenant_id::text = ANY (string_to_array(current_setting('app.tenant_ids', true), ',')));
GRANT SELECT ON docs TO app_user;
