-- Rows go with their tables; a backup is the only way back to them.
DROP TABLE public.api_keys;
DROP TABLE public.usage_records;
DROP TABLE public.subscriptions;
DROP TABLE public.plans;
