-- Comments on anything that is not the server's own, one row each.
SELECT
  d.classoid AS class,
  d.objoid AS oid,
  d.objsubid AS sub,
  d.description AS text
FROM pg_catalog.pg_description AS d
WHERE d.objoid >= 16384
  OR d.classoid IN ('pg_catalog.pg_namespace'::regclass, 'pg_catalog.pg_extension'::regclass)
UNION ALL
SELECT
  s.classoid,
  s.objoid,
  0,
  s.description
FROM pg_catalog.pg_shdescription AS s
-- what initdb says of its own database is nobody's comment
WHERE NOT (
  s.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_database'::regclass
  AND s.description OPERATOR(pg_catalog.=) 'default administrative connection database'
)
