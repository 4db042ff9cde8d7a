-- af-db: no-transaction
VACUUM FULL orders; -- !
VACUUM (VERBOSE, FULL) orders; -- !
