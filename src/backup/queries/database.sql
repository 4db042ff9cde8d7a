-- One JSON document: what belongs to the database itself and is in no dump of it, with the roles it leans on.
WITH RECURSIVE used (oid) AS (
  SELECT d.datdba
  FROM pg_catalog.pg_database AS d
  WHERE d.datname = pg_catalog.current_database()
  UNION
  SELECT s.refobjid
  FROM pg_catalog.pg_shdepend AS s
  JOIN pg_catalog.pg_database AS d
    ON d.datname = pg_catalog.current_database()
  WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
    AND (s.dbid = d.oid OR (s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = d.oid))
  UNION
  SELECT s.setrole
  FROM pg_catalog.pg_db_role_setting AS s
  JOIN pg_catalog.pg_database AS d
    ON d.oid = s.setdatabase
  WHERE d.datname = pg_catalog.current_database()
    AND s.setrole <> 0
), kin (oid) AS (
  SELECT used.oid FROM used
  UNION
  SELECT CASE WHEN m.member = kin.oid THEN m.roleid ELSE m.member END
  FROM pg_catalog.pg_auth_members AS m
  JOIN kin
    ON kin.oid IN (m.member, m.roleid)
  WHERE m.roleid >= 16384 OR m.member = kin.oid
)
SELECT pg_catalog.json_build_object(
  'owner', pg_catalog.pg_get_userbyid(d.datdba),
  'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
  'collate', d.datcollate,
  'ctype', d.datctype,
  'provider', pg_catalog.to_jsonb(d) ->> 'datlocprovider',
  'locale', coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'),
  'connection-limit', d.datconnlimit,
  'comment', pg_catalog.shobj_description(d.oid, 'pg_database'),
  'bytes', pg_catalog.pg_database_size(d.oid),
  'grants', (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
      'privilege', a.privilege_type,
      'grantable', a.is_grantable) ORDER BY a.grantee, a.privilege_type), '[]')
    FROM pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) AS a
    WHERE a.grantee <> d.datdba
  ),
  'settings', (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'role', CASE WHEN s.setrole = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(s.setrole) END,
      'name', pg_catalog.split_part(c.setting, '=', 1),
      'value', pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1)
    ) ORDER BY s.setrole, c.setting), '[]')
    FROM pg_catalog.pg_db_role_setting AS s
    CROSS JOIN pg_catalog.unnest(s.setconfig) AS c (setting)
    WHERE s.setdatabase = d.oid
  ),
  'extensions', (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', e.extname, 'version', e.extversion) ORDER BY e.extname), '[]')
    FROM pg_catalog.pg_extension AS e
  ),
  'roles', (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', r.rolname,
      'superuser', r.rolsuper,
      'inherit', r.rolinherit,
      'create-role', r.rolcreaterole,
      'create-database', r.rolcreatedb,
      'login', r.rolcanlogin,
      'replication', r.rolreplication,
      'bypass-rls', r.rolbypassrls,
      'connection-limit', r.rolconnlimit,
      'settings', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
          'role', '',
          'name', pg_catalog.split_part(c.setting, '=', 1),
          'value', pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1)) ORDER BY c.setting), '[]')
        FROM pg_catalog.pg_db_role_setting AS s
        CROSS JOIN pg_catalog.unnest(s.setconfig) AS c (setting)
        WHERE s.setdatabase = 0 AND s.setrole = r.oid
      )
    ) ORDER BY r.rolname), '[]')
    FROM pg_catalog.pg_roles AS r
    WHERE r.oid IN (SELECT kin.oid FROM kin) AND r.oid >= 16384
  ),
  'memberships', (
    SELECT coalesce(pg_catalog.json_agg(DISTINCT pg_catalog.jsonb_build_object(
      'role', pg_catalog.pg_get_userbyid(m.roleid),
      'member', pg_catalog.pg_get_userbyid(m.member),
      'admin', m.admin_option)), '[]')
    FROM pg_catalog.pg_auth_members AS m
    WHERE m.member IN (SELECT kin.oid FROM kin) AND m.member >= 16384
  )
)
FROM pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database()
