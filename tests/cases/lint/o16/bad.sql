-- af-db: no-transaction
ALTER SYSTEM SET work_mem = '1GB'; -- !
ALTER DATABASE app SET search_path = app; -- !
