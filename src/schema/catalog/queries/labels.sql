-- Security labels, one row each.
SELECT
  l.classoid AS class,
  l.objoid AS oid,
  l.objsubid AS sub,
  l.provider,
  l.label
FROM pg_catalog.pg_seclabel AS l
UNION ALL
SELECT
  s.classoid,
  s.objoid,
  0,
  s.provider,
  s.label
FROM pg_catalog.pg_shseclabel AS s
