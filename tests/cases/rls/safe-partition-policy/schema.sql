CREATE TABLE logs (tenant_id int NOT NULL, n int NOT NULL, msg text, PRIMARY KEY (tenant_id, n)) PARTITION BY RANGE (n);
CREATE TABLE logs_old PARTITION OF logs FOR VALUES FROM (0) TO (1000);
CREATE TABLE logs_new PARTITION OF logs FOR VALUES FROM (1000) TO (2000000000);
ALTER TABLE logs ENABLE ROW LEVEL SECURITY; ALTER TABLE logs_old ENABLE ROW LEVEL SECURITY; ALTER TABLE logs_new ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON logs TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY p ON logs_old TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE POLICY p ON logs_new TO app_user USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int );
GRANT SELECT ON logs, logs_old, logs_new TO app_user;
