-- af-db: allow C01 reason="no release reads the old names any more; the service names columns through its query layer"
-- af-db: allow D02 reason="the number of each row is kept inside its uuid"
-- Catalog entries alone: the check says that no uid is missing, so nothing is scanned, and the index becomes the key.
ALTER TABLE public.audit_logs
    DROP CONSTRAINT audit_logs_pkey,
    ALTER COLUMN uid SET NOT NULL;
ALTER INDEX public.audit_logs_uid_key RENAME TO audit_logs_pkey;
ALTER TABLE public.audit_logs
    DROP CONSTRAINT audit_logs_uid_check,
    DROP COLUMN id,
    ADD CONSTRAINT audit_logs_pkey PRIMARY KEY USING INDEX audit_logs_pkey;
ALTER TABLE public.audit_logs RENAME COLUMN uid TO id;
ALTER TABLE public.audit_logs RENAME COLUMN metadata TO details;
ALTER TABLE public.audit_logs RENAME CONSTRAINT audit_logs_metadata_check TO audit_logs_details_check;
ALTER TABLE public.audit_logs RENAME COLUMN entity_id TO resource_id;
ALTER INDEX public.audit_logs_entity_id_idx RENAME TO audit_logs_resource_id_idx;
