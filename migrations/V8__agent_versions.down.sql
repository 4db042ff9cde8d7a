-- The kept versions go with their table; a backup is the only way back to them.
DROP TABLE public.agent_versions;
ALTER TABLE public.agents DROP COLUMN version;
