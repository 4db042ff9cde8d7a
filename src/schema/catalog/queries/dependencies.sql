-- Rows of parallel arrays: what depends on what, beyond the server's own objects; the members of extensions come first.
SELECT
  d.deptype = 'e' AS member,
  pg_catalog.array_agg(d.classid) AS class,
  pg_catalog.array_agg(d.objid) AS oid,
  pg_catalog.array_agg(d.objsubid) AS sub,
  pg_catalog.array_agg(d.refclassid) AS refclass,
  pg_catalog.array_agg(d.refobjid) AS refoid,
  pg_catalog.array_agg(d.refobjsubid) AS refsub
FROM pg_catalog.pg_depend AS d
WHERE d.refobjid >= 16384
  AND NOT (d.classid = d.refclassid AND d.objid = d.refobjid AND (d.objsubid = 0 OR d.refobjsubid = 0))
  AND NOT (d.refclassid = 'pg_catalog.pg_namespace'::regclass)
  OR d.deptype = 'e'
-- Several rows, since one of everything would have to be held at once.
GROUP BY d.deptype = 'e', d.objid::int8 % 32
ORDER BY 1 DESC
