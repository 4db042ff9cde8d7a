-- One row for each database that a restore left unfinished, none while a restore is at work: between two steps nobody is connected to
-- the database it builds. `$2` is the lock that every restore holds. A limit of -2 is a database whose removal broke off.
SELECT d.datname::pg_catalog.text
FROM pg_catalog.pg_database AS d
WHERE d.datname ~ '_restoring_[0-9]{8}t[0-9]{6}$'
  AND d.datconnlimit IN ($1, -2)
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity AS a
    WHERE a.datid = d.oid
  )
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_locks AS l
    WHERE l.locktype = 'advisory'
      AND l.objsubid = 1
      AND l.classid::pg_catalog.int8 = $2::pg_catalog.int8 >> 32
      AND l.objid::pg_catalog.int8 = $2::pg_catalog.int8 & 4294967295
      AND l.granted
      AND l.pid <> pg_catalog.pg_backend_pid()
  )
