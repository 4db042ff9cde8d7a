-- One row a default privilege on tables: who makes them, in which schema, what is granted to whom.
SELECT
    pg_catalog.pg_get_userbyid(d.defaclrole)::text,
    n.nspname::text,
    a.privilege_type::text,
    coalesce(pg_catalog.pg_get_userbyid(nullif(a.grantee, 0)), 'public')::text
FROM pg_catalog.pg_default_acl d
CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) AS a
JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace OR d.defaclnamespace = 0 AND n.nspname = 'public'
WHERE d.defaclobjtype = 'r'
  AND a.grantee <> d.defaclrole
  AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
ORDER BY 2, 4, a.privilege_type <> 'SELECT', 1, 3
