-- af-db: no-transaction
-- af-db: allow C01 reason="no release reads user_id any more; the service names the column through its query layer"
-- Who made a row is created_by everywhere. Each table is locked alone and for a moment only: outside a transaction no
-- lock waits for the next one.
ALTER TABLE public.projects RENAME COLUMN user_id TO created_by;
ALTER TABLE public.projects RENAME CONSTRAINT projects_user_id_fkey TO projects_created_by_fkey;
ALTER INDEX public.projects_user_id_idx RENAME TO projects_created_by_idx;
ALTER TABLE public.agents RENAME COLUMN user_id TO created_by;
ALTER TABLE public.agents RENAME CONSTRAINT agents_user_id_fkey TO agents_created_by_fkey;
ALTER INDEX public.agents_user_id_idx RENAME TO agents_created_by_idx;
ALTER TABLE public.workflows RENAME COLUMN user_id TO created_by;
ALTER TABLE public.workflows RENAME CONSTRAINT workflows_user_id_fkey TO workflows_created_by_fkey;
ALTER INDEX public.workflows_user_id_idx RENAME TO workflows_created_by_idx;
ALTER TABLE public.blueprints RENAME COLUMN user_id TO created_by;
ALTER TABLE public.blueprints RENAME CONSTRAINT blueprints_user_id_fkey TO blueprints_created_by_fkey;
ALTER INDEX public.blueprints_user_id_idx RENAME TO blueprints_created_by_idx;
