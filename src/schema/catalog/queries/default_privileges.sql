-- Default privileges, one row for each role, schema and kind of object.
SELECT
  'default-privileges' AS kind,
  a.tableoid AS class,
  a.oid,
  n.nspname::text AS schema,
  pg_catalog.pg_get_userbyid(a.defaclrole)::text AS name,
  CASE a.defaclobjtype
    WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS'
  END AS part,
  pg_catalog.pg_get_userbyid(a.defaclrole)::text AS owner,
  a.defaclacl::text[] AS acl
FROM pg_catalog.pg_default_acl AS a
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = a.defaclnamespace
WHERE a.defaclnamespace = 0
  OR a.defaclnamespace = ANY ($1)
