DELETE FROM orders; -- !
