SAVEPOINT a;
ALTER TABLE t ADD a int;
ROLLBACK TO a;
-- file: 2
-- af-db: no-transaction
BEGIN;
SELECT 1;
COMMIT;
