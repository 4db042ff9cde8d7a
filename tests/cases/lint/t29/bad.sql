SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app'; -- !
SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_locks; -- !
DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity; END $$; -- !
