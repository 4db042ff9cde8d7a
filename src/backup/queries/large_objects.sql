-- One row: how many large objects there are and how many of them we may not read.
SELECT
  pg_catalog.count(*) AS total,
  pg_catalog.count(*) FILTER (WHERE NOT (
    (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)
    OR pg_catalog.current_setting('lo_compat_privileges')::pg_catalog.bool
    OR pg_catalog.pg_has_role(m.lomowner, 'USAGE')
    OR EXISTS (
      SELECT FROM pg_catalog.aclexplode(m.lomacl) AS a
      WHERE a.privilege_type = 'SELECT'
        AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE'))
    )
  )) AS unreadable
FROM pg_catalog.pg_largeobject_metadata AS m
