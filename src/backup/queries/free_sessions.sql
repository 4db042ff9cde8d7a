-- One row: how many more sessions the server, the database and our role allow.
WITH there AS (
  SELECT
    a.datid,
    a.usesysid
  FROM pg_catalog.pg_stat_activity AS a
  WHERE a.usesysid IS NOT NULL
)
SELECT
  LEAST(
    pg_catalog.current_setting('max_connections')::pg_catalog.int8
      - pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int8
      - (SELECT pg_catalog.count(*) FROM there),
    CASE WHEN d.datconnlimit >= 0
      THEN d.datconnlimit - (SELECT pg_catalog.count(*) FROM there AS t WHERE t.datid = d.oid) END,
    CASE WHEN r.rolconnlimit >= 0
      THEN r.rolconnlimit - (SELECT pg_catalog.count(*) FROM there AS t WHERE t.usesysid = r.oid) END
  ) AS free
FROM pg_catalog.pg_database AS d
CROSS JOIN pg_catalog.pg_roles AS r
WHERE d.datname = pg_catalog.current_database()
  AND r.rolname = current_user
