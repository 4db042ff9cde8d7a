-- One row: what tells one cluster from another, also after a restore. Not every managed server allows it.
SELECT system_identifier
FROM pg_catalog.pg_control_system()
