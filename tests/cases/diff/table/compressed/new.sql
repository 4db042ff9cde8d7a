CREATE TABLE text_of (b int, a int, c text COMPRESSION pglz COLLATE "POSIX" DEFAULT 'k');
REVOKE UPDATE ON text_of FROM CURRENT_USER;
GRANT UPDATE (a) ON text_of TO CURRENT_USER;
ALTER TABLE text_of OWNER TO pg_read_all_data;
