-- af-db: no-transaction
-- af-db: allow C01 reason="goes back together with the release that reads user_id"
ALTER INDEX public.blueprints_created_by_idx RENAME TO blueprints_user_id_idx;
ALTER TABLE public.blueprints RENAME CONSTRAINT blueprints_created_by_fkey TO blueprints_user_id_fkey;
ALTER TABLE public.blueprints RENAME COLUMN created_by TO user_id;
ALTER INDEX public.workflows_created_by_idx RENAME TO workflows_user_id_idx;
ALTER TABLE public.workflows RENAME CONSTRAINT workflows_created_by_fkey TO workflows_user_id_fkey;
ALTER TABLE public.workflows RENAME COLUMN created_by TO user_id;
ALTER INDEX public.agents_created_by_idx RENAME TO agents_user_id_idx;
ALTER TABLE public.agents RENAME CONSTRAINT agents_created_by_fkey TO agents_user_id_fkey;
ALTER TABLE public.agents RENAME COLUMN created_by TO user_id;
ALTER INDEX public.projects_created_by_idx RENAME TO projects_user_id_idx;
ALTER TABLE public.projects RENAME CONSTRAINT projects_created_by_fkey TO projects_user_id_fkey;
ALTER TABLE public.projects RENAME COLUMN created_by TO user_id;
