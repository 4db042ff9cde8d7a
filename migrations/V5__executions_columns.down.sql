-- af-db: allow C01 reason="goes back together with the release that reads the old names"
ALTER INDEX public.executions_created_by_idx RENAME TO executions_user_id_idx;
ALTER TABLE public.executions RENAME CONSTRAINT executions_created_by_fkey TO executions_user_id_fkey;
ALTER TABLE public.executions RENAME CONSTRAINT executions_execution_type_check TO executions_type_check;
ALTER TABLE public.executions RENAME COLUMN created_by TO user_id;
ALTER TABLE public.executions RENAME COLUMN output_data TO result;
ALTER TABLE public.executions RENAME COLUMN execution_type TO type;
