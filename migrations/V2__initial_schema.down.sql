-- Rows go with their tables; a backup is the only way back to them.
DROP PROCEDURE app.create_executions_partition(date);
DROP TABLE public.audit_logs;
DROP TABLE public.executions;
DROP TABLE public.blueprints;
DROP TABLE public.workflows;
DROP TABLE public.agents;
DROP TABLE public.projects;
DROP TABLE public.users;
DROP TABLE public.tenants;
