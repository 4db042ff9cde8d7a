-- af-db: allow C01 reason="no release reads the old names any more; the service names columns through its query layer"
-- One table and catalog entries alone: nothing is read, nothing is rewritten, in any partition.
ALTER TABLE public.executions RENAME COLUMN type TO execution_type;
ALTER TABLE public.executions RENAME COLUMN result TO output_data;
ALTER TABLE public.executions RENAME COLUMN user_id TO created_by;
ALTER TABLE public.executions RENAME CONSTRAINT executions_type_check TO executions_execution_type_check;
ALTER TABLE public.executions RENAME CONSTRAINT executions_user_id_fkey TO executions_created_by_fkey;
ALTER INDEX public.executions_user_id_idx RENAME TO executions_created_by_idx;
