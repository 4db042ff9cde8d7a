-- The old key never left; the new one goes with its index and check.
ALTER TABLE public.audit_logs DROP COLUMN uid;
