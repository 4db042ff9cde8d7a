VACUUM orders; -- !
CREATE DATABASE d; -- !
REINDEX SCHEMA s; -- !
