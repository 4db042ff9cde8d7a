SELECT pid FROM pg_stat_activity WHERE datname = 'app';
COMMENT ON TABLE t IS 'never call pg_terminate_backend(pid)';
REVOKE EXECUTE ON FUNCTION pg_terminate_backend FROM app;
