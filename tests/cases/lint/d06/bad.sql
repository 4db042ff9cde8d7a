-- af-db: no-transaction
DROP DATABASE IF EXISTS app; -- !
