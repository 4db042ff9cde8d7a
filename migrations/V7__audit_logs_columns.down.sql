-- Numbers come back out of the keys that hold one; rows written since get the next ones, in the order of their time.
-- af-db: allow C01 reason="goes back together with the release that reads the old names"
-- af-db: allow T05 reason="a way back in an emergency: the log is locked once, and whole or not at all"
ALTER INDEX public.audit_logs_resource_id_idx RENAME TO audit_logs_entity_id_idx;
ALTER TABLE public.audit_logs RENAME COLUMN resource_id TO entity_id;
ALTER TABLE public.audit_logs RENAME CONSTRAINT audit_logs_details_check TO audit_logs_metadata_check;
ALTER TABLE public.audit_logs RENAME COLUMN details TO metadata;
ALTER TABLE public.audit_logs RENAME COLUMN id TO key;
ALTER TABLE public.audit_logs
    DROP CONSTRAINT audit_logs_pkey,
    ADD COLUMN id bigint,
    ADD COLUMN uid uuid;

WITH numbered AS (
    SELECT
        key,
        CASE WHEN key::text LIKE '00000000-0000-8000-8000-%'
            THEN ('x' || right(key::text, 12))::bit(48)::bigint
        END AS kept
    FROM public.audit_logs
), highest AS (
    SELECT coalesce(max(kept), 0) AS kept FROM numbered
), fresh AS (
    SELECT audit_logs.key, row_number() OVER (ORDER BY audit_logs.created_at, audit_logs.key) AS position
    FROM public.audit_logs
    JOIN numbered ON numbered.key = audit_logs.key AND numbered.kept IS NULL
)
UPDATE public.audit_logs
SET uid = audit_logs.key,
    id = coalesce(numbered.kept, highest.kept + fresh.position)
FROM numbered
LEFT JOIN fresh ON fresh.key = numbered.key
CROSS JOIN highest
WHERE numbered.key = audit_logs.key;

ALTER TABLE public.audit_logs
    DROP COLUMN key,
    ALTER COLUMN id SET NOT NULL,
    ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY,
    ALTER COLUMN uid SET DEFAULT gen_random_uuid(),
    ADD CONSTRAINT audit_logs_uid_check CHECK (uid IS NOT NULL),
    ADD CONSTRAINT audit_logs_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX audit_logs_uid_key ON public.audit_logs (uid);
SELECT setval('public.audit_logs_id_seq', max(id)) FROM public.audit_logs HAVING max(id) IS NOT NULL;
REVOKE ALL ON SEQUENCE public.audit_logs_id_seq FROM PUBLIC, anon, authenticated, service_role;
