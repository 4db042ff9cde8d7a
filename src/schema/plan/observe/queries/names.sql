-- The relations of users that were created or changed by the transaction $1 or a later one, or whose schema was; a row
-- without a relation has the first transaction that is not finished now.
SELECT
    c.oid AS relation,
    c.relkind::pg_catalog.text AS kind,
    n.nspname AS schema,
    c.relname AS name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE
    c.oid >= 16384
    AND c.relnamespace <> 99
    AND c.relpersistence <> 't'
    AND n.nspname <> 'af_db_observer'
    AND (
        pg_catalog.age(c.xmin) <= pg_catalog.age($1::pg_catalog.xid)
        OR pg_catalog.age(n.xmin) <= pg_catalog.age($1::pg_catalog.xid)
    )
UNION ALL
SELECT
    NULL,
    NULL,
    NULL,
    (pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) % 4294967296)::pg_catalog.text
