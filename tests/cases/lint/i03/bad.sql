REINDEX TABLE orders; -- !
REINDEX (VERBOSE) INDEX orders_created_idx; -- !
