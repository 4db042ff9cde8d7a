-- One row for each thing that somebody gave this database beside the objects in it: what it is, in words, with its value,
-- whether a new database may have it from template1, and whether it is something that the database holds. $1 names the roles
-- that may own a database nobody has touched.
WITH ours AS (
  SELECT d.*
  FROM pg_catalog.pg_database AS d
  WHERE d.datname = pg_catalog.current_database()
), built_in (classoid, objoid, objsubid, acl) AS (
  SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0, c.relacl
  FROM pg_catalog.pg_class AS c
  WHERE c.relnamespace <> 'information_schema'::pg_catalog.regnamespace
  UNION ALL
  SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, a.attrelid, a.attnum, a.attacl
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_class AS c
    ON c.oid = a.attrelid
  WHERE c.relnamespace <> 'information_schema'::pg_catalog.regnamespace
  UNION ALL
  SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 0, p.proacl
  FROM pg_catalog.pg_proc AS p
  UNION ALL
  SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, 0, t.typacl
  FROM pg_catalog.pg_type AS t
  UNION ALL
  SELECT 'pg_catalog.pg_language'::pg_catalog.regclass, l.oid, 0, l.lanacl
  FROM pg_catalog.pg_language AS l
  UNION ALL
  SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, n.oid, 0, n.nspacl
  FROM pg_catalog.pg_namespace AS n
  WHERE n.nspname <> 'information_schema'
)
SELECT 'the owner ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(ours.datdba)) AS what, '' AS value, false AS inherited, false AS is_object
FROM ours
WHERE pg_catalog.pg_get_userbyid(ours.datdba) <> ALL ($1)
UNION ALL
SELECT 'privileges of its own', '', false, false
FROM ours
WHERE ours.datacl IS NOT NULL
UNION ALL
SELECT 'a comment', '', false, false
FROM ours
WHERE pg_catalog.shobj_description(ours.oid, 'pg_database') IS NOT NULL
UNION ALL
SELECT 'a connection limit', '', false, false
FROM ours
WHERE ours.datconnlimit <> -1
UNION ALL
SELECT 'the mark of a template', '', false, false
FROM ours
WHERE ours.datistemplate AND ours.datname <> 'template1'
UNION ALL
SELECT 'the tablespace ' || pg_catalog.quote_ident(t.spcname), '', true, false
FROM ours
JOIN pg_catalog.pg_tablespace AS t
  ON t.oid = ours.dattablespace
WHERE t.spcname <> 'pg_default'
UNION ALL
SELECT 'the setting ' || pg_catalog.split_part(c.setting, '=', 1), '', false, false
FROM ours
JOIN pg_catalog.pg_db_role_setting AS s
  ON s.setdatabase = ours.oid
CROSS JOIN pg_catalog.unnest(s.setconfig) AS c (setting)
UNION ALL
SELECT 'a security label', '', false, false
FROM ours
JOIN pg_catalog.pg_shseclabel AS l
  ON l.objoid = ours.oid AND l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass
UNION ALL
SELECT 'a security label on ' || coalesce(pg_catalog.pg_describe_object(l.classoid, l.objoid, l.objsubid), 'an object'),
  l.label, true, false
FROM pg_catalog.pg_seclabel AS l
UNION ALL
SELECT 'large object ' || o.oid::pg_catalog.text, '', false, true
FROM pg_catalog.pg_largeobject_metadata AS o
UNION ALL
SELECT 'subscription ' || pg_catalog.quote_ident(s.subname), '', false, true
FROM ours
JOIN pg_catalog.pg_subscription AS s
  ON s.subdbid = ours.oid
UNION ALL
SELECT 'replication slot ' || pg_catalog.quote_ident(s.slot_name), '', false, true
FROM ours
JOIN pg_catalog.pg_replication_slots AS s
  ON s.datoid = ours.oid
UNION ALL
SELECT 'a prepared transaction', '', false, true
FROM pg_catalog.pg_prepared_xacts AS x
WHERE x.database = pg_catalog.current_database()
UNION ALL
SELECT 'a comment on ' || pg_catalog.pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description, true, false
FROM pg_catalog.pg_description AS d
WHERE d.classoid IN ('pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass)
  AND d.objoid < 16384
  AND d.description NOT IN (
    'standard public schema',
    'system catalog schema',
    'reserved schema for TOAST tables',
    'PL/pgSQL procedural language'
  )
UNION ALL
SELECT 'no schema ' || s.name, '', true, false
FROM (VALUES ('public'), ('information_schema')) AS s (name)
WHERE pg_catalog.to_regnamespace(s.name) IS NULL
UNION ALL
SELECT 'no extension plpgsql', '', true, false
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_extension AS e
  WHERE e.extname = 'plpgsql'
)
UNION ALL
SELECT 'privileges on ' || pg_catalog.pg_describe_object(b.classoid, b.objoid, b.objsubid),
  coalesce(b.acl::pg_catalog.text, ''), true, false
FROM built_in AS b
LEFT JOIN pg_catalog.pg_init_privs AS i
  ON i.classoid = b.classoid AND i.objoid = b.objoid AND i.objsubid = b.objsubid AND i.privtype = 'i'
WHERE b.objoid < 16384 AND b.acl IS DISTINCT FROM i.initprivs
UNION ALL
SELECT 'the owner of ' || coalesce(pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid), 'an object'),
  s.deptype::pg_catalog.text || s.refobjid::pg_catalog.text, true, false
FROM ours
JOIN pg_catalog.pg_shdepend AS s
  ON s.dbid = ours.oid
WHERE s.objid < 16384 AND s.deptype = 'o'
