ALTER TABLE orders DISABLE TRIGGER ALL; -- !
ALTER TABLE orders DISABLE TRIGGER audit; -- !
SET LOCAL session_replication_role = replica; -- !
SET LOCAL session_replication_role = 'replica'; -- !
