-- What this session has done to relations and not yet told the server; of the others nothing.
SELECT relation, scans, inserted, updated, deleted
FROM (
    SELECT
        relation,
        pg_catalog.pg_stat_get_xact_numscans(relation) AS scans,
        pg_catalog.pg_stat_get_xact_tuples_inserted(relation) AS inserted,
        pg_catalog.pg_stat_get_xact_tuples_updated(relation) AS updated,
        pg_catalog.pg_stat_get_xact_tuples_deleted(relation) AS deleted
    FROM pg_catalog.unnest($1) AS relation
) AS counters
WHERE (scans, inserted, updated, deleted) IS DISTINCT FROM (0, 0, 0, 0)
