-- af-db: no-transaction
-- af-db: timeout 2h
-- The log gets uuid keys while it is written to: a rewrite in place would stop every reader and writer for as long as
-- it takes. Here the new key stands beside the old one; V7 puts it in its place.

-- Catalog entries alone: new rows get a key from now on, old ones wait.
ALTER TABLE public.audit_logs
    ADD COLUMN uid uuid,
    ALTER COLUMN uid SET DEFAULT gen_random_uuid(),
    ADD CONSTRAINT audit_logs_uid_check CHECK (uid IS NOT NULL) NOT VALID;

-- Batches, each its own transaction. The old number is kept inside the new key (a version 8 uuid), so that the way back
-- finds it there.
DO $$
DECLARE
    done bigint := 0;
    batch_end bigint;
BEGIN
    LOOP
        SELECT max(batch.id) INTO batch_end
        FROM (SELECT id FROM public.audit_logs WHERE id > done ORDER BY id LIMIT 10000) AS batch;
        EXIT WHEN batch_end IS NULL;
        UPDATE public.audit_logs
        SET uid = ('00000000-0000-8000-8000-' || lpad(to_hex(id), 12, '0'))::uuid
        WHERE id > done AND id <= batch_end AND uid IS NULL;
        done := batch_end;
        COMMIT;
    END LOOP;
END
$$;

CREATE UNIQUE INDEX CONCURRENTLY audit_logs_uid_key ON public.audit_logs (uid);

ALTER TABLE public.audit_logs VALIDATE CONSTRAINT audit_logs_uid_check;
