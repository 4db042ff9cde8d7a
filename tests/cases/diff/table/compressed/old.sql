CREATE TABLE text_of (a int, c text COLLATE "C");
GRANT UPDATE (a) ON text_of TO pg_monitor;
ALTER TABLE text_of OWNER TO pg_read_all_data;
