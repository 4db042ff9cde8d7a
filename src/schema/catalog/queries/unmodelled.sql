-- What pg_dump would carry and a catalog does not model: a kind and how many there are.
SELECT
  'large object' AS kind,
  pg_catalog.count(*) AS count
FROM pg_catalog.pg_largeobject_metadata AS l
HAVING pg_catalog.count(*) > 0
