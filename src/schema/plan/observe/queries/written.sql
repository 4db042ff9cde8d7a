-- How many rows the session has written and deleted in each table and not yet told the server.
SELECT relation, written, deleted
FROM (
    SELECT
        c.oid AS relation,
        pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid)
        + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) AS written,
        pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) AS deleted
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind = 'r' AND c.oid >= 16384
) AS counters
WHERE written > 0 OR deleted > 0
