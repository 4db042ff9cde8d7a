-- one row: what stands where the history and the journal are expected; $2 the comment by which we know the history
SELECT
  pg_catalog.to_regclass($1)::pg_catalog.oid IS NOT NULL AS history_exists,
  (SELECT pg_catalog.string_agg(a.attname || ' ' || a.atttypid::pg_catalog.regtype::pg_catalog.text, ',' ORDER BY a.attnum)
   FROM pg_catalog.pg_attribute AS a
   WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped) AS history_columns,
  pg_catalog.obj_description(pg_catalog.to_regclass($1), 'pg_class') IS NOT DISTINCT FROM $2 AS is_marked,
  pg_catalog.obj_description(pg_catalog.to_regclass($1), 'pg_class') IS NULL
    AND (SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class AS c
         WHERE c.oid = pg_catalog.to_regclass($1)) IS NOT FALSE AS can_be_marked,
  pg_catalog.to_regclass('af_db.journal')::pg_catalog.oid IS NOT NULL AS journal_exists
