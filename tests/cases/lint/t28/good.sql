SET lock_timeout = '2s'; ALTER TABLE t ADD COLUMN a int;
-- file: next
SET lock_timeout = 0; CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN b int;
-- file: next
SET lock_timeout = 0; SET lock_timeout = 500; ALTER TABLE t ADD COLUMN a int;
-- file: next
SET lock_timeout = 0; ALTER TABLE t VALIDATE CONSTRAINT c;
-- file: next
SET statement_timeout = 0; ALTER TABLE t ADD COLUMN a int;
