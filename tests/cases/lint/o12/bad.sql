ALTER TABLE orders SET (autovacuum_enabled = false); -- !
CREATE TABLE t (a int) WITH (autovacuum_enabled = off); -- !
