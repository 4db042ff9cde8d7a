-- One row for each database that a restore left unfinished and nobody is connected to; -2 is one whose removal broke off.
SELECT d.datname::pg_catalog.text
FROM pg_catalog.pg_database AS d
WHERE d.datname ~ '_restoring_[0-9]{8}t[0-9]{6}$'
  AND d.datconnlimit IN ($1, -2)
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity AS a
    WHERE a.datid = d.oid
  )
