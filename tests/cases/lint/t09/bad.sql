BEGIN; -- !
ALTER TABLE t ADD a int;
COMMIT; -- !
