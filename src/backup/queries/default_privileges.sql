-- One row for each privilege that what this role makes would give away by default: how to take it back and how to give it again.
WITH given AS (
  SELECT
    CASE WHEN n.nspname IS NULL THEN '' ELSE pg_catalog.format(' IN SCHEMA %I', n.nspname) END AS place,
    CASE d.defaclobjtype
      WHEN 'r' THEN 'TABLES'
      WHEN 'S' THEN 'SEQUENCES'
      WHEN 'f' THEN 'FUNCTIONS'
      WHEN 'T' THEN 'TYPES'
      WHEN 'n' THEN 'SCHEMAS'
    END AS kind,
    CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS grantee,
    a.privilege_type AS privilege,
    a.is_grantable AS grantable
  FROM pg_catalog.pg_default_acl AS d
  LEFT JOIN pg_catalog.pg_namespace AS n
    ON n.oid = d.defaclnamespace
  CROSS JOIN pg_catalog.aclexplode(d.defaclacl) AS a
  WHERE pg_catalog.pg_get_userbyid(d.defaclrole) = current_user
    AND a.grantee <> d.defaclrole
    -- What everybody has of new functions and types by birth is the archive's to say.
    AND (n.oid IS NOT NULL OR a.grantee <> 0)
)
SELECT
  pg_catalog.format('ALTER DEFAULT PRIVILEGES%s REVOKE %s ON %s FROM %s', place, privilege, kind, grantee) AS revoke,
  pg_catalog.format(
    'ALTER DEFAULT PRIVILEGES%s GRANT %s ON %s TO %s%s',
    place, privilege, kind, grantee, CASE WHEN grantable THEN ' WITH GRANT OPTION' ELSE '' END
  ) AS give
FROM given
WHERE kind IS NOT NULL
ORDER BY 1
