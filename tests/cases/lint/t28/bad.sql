SET lock_timeout = 0; ALTER TABLE t ADD COLUMN a int; -- !
-- file: next
SET LOCAL lock_timeout TO '0'; ALTER TABLE t ADD COLUMN a int; -- !
-- file: next
SET SESSION lock_timeout = '0s'; ALTER TABLE t DROP COLUMN a; -- !
-- file: next
SET lock_timeout = '2s'; SET lock_timeout = 0; ALTER TABLE t RENAME TO u; -- !
