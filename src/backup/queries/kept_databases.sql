-- One row for each database that made room for a restored one: its name, the time that its name ends with, and its size where the
-- role may ask for it.
SELECT
  d.datname::pg_catalog.text AS name,
  pg_catalog.right(d.datname::pg_catalog.text, 15) AS stamp,
  CASE
    WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
      THEN pg_catalog.pg_database_size(d.oid)
  END AS bytes
FROM pg_catalog.pg_database AS d
WHERE d.datname ~ '_before_[0-9]{8}t[0-9]{6}$'
