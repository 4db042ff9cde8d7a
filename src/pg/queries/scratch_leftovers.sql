-- One row: the hour on the server's clock, and our databases of more than a day ago that nobody uses: a run that was killed
-- could not drop them.
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
    ) AS leftovers
FROM (
    SELECT pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.now()) / 3600)::pg_catalog.int8 AS hour
) AS now_hour
