-- One row: whether this process had the lock. $1 the key, $2 whether it was shared.
SELECT
  CASE
    WHEN $2::pg_catalog.bool THEN pg_catalog.pg_advisory_unlock_shared($1::pg_catalog.int8)
    ELSE pg_catalog.pg_advisory_unlock($1::pg_catalog.int8)
  END AS released
