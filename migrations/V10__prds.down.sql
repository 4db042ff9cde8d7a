-- Rows go with their tables; a backup is the only way back to them.
DROP TABLE public.prd_versions;
DROP TABLE public.prds;
DROP FUNCTION app.record_prd_version();
