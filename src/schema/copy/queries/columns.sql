-- One row a column of the tables in schema $1: table, column, type, base type and its kind, how it is filled.
SELECT
  c.relname::text AS "table",
  a.attname::text AS "column",
  pg_catalog.format_type(a.atttypid, a.atttypmod) AS shown,
  b.typname::text AS base,
  b.typtype::text AS kind,
  a.attnotnull AS not_null,
  a.atthasdef OR a.attidentity OPERATOR(pg_catalog.<>) '' AS has_default,
  a.attgenerated OPERATOR(pg_catalog.<>) '' AS generated,
  pg_catalog.pg_get_serial_sequence(pg_catalog.format('%I.%I', n.nspname, c.relname), a.attname) AS sequence
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute AS a
  ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
JOIN pg_catalog.pg_type AS b
  ON b.oid OPERATOR(pg_catalog.=) CASE WHEN t.typtype OPERATOR(pg_catalog.=) 'd' THEN t.typbasetype ELSE t.oid END
WHERE n.nspname OPERATOR(pg_catalog.=) $1 AND c.relkind IN ('r', 'p')
ORDER BY c.relname, a.attnum
