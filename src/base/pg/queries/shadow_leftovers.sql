-- One row: the hour on the server's clock; our unused databases older than a day, left by killed runs; and what our role
-- could do to the server's machine, if anything.
SELECT
    now_hour.hour,
    ARRAY(
        SELECT d.datname::pg_catalog.text
        FROM pg_catalog.pg_database AS d
        WHERE d.datname ~ '^af_db_scratch_[0-9]{1,9}_'
            AND pg_catalog.split_part(d.datname, '_', 4)::pg_catalog.int8 < now_hour.hour - 24
            AND pg_catalog.pg_has_role(d.datdba, 'MEMBER')
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.datid = d.oid)
        ORDER BY d.datname
    ) AS leftovers,
    (
        SELECT CASE
            WHEN r.rolsuper THEN 'is a superuser'
            ELSE 'is a member of ' || (
                SELECT pg_catalog.string_agg(g.rolname::pg_catalog.text, ', ' ORDER BY g.rolname)
                FROM pg_catalog.pg_roles AS g
                WHERE g.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
                    AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')
            )
        END
        FROM pg_catalog.pg_roles AS r
        WHERE r.rolname = CURRENT_USER
    ) AS powers,
    -- Up to PostgreSQL 15 a role with CREATEROLE may grant itself every role but a superuser's.
    (
        SELECT r.rolcreaterole AND pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 160000
        FROM pg_catalog.pg_roles AS r
        WHERE r.rolname = CURRENT_USER
    ) AS grants_itself
FROM (
    SELECT pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.now()) / 3600)::pg_catalog.int8 AS hour
) AS now_hour
