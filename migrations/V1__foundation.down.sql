-- The roles stay: they belong to the cluster, and other databases may use them.
DROP FUNCTION app.touch_updated_at();
DROP FUNCTION app.user_id();
DROP FUNCTION app.tenant_id();
DROP FUNCTION app.claims();
DROP SCHEMA partitions;
DROP SCHEMA app;
