-- One row: the process that answers this statement.
SELECT pg_catalog.pg_backend_pid() AS backend_pid
