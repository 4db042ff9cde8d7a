-- One row for each foreign key between tables that are no partitions: both tables and their columns in order.
SELECT
  o.conname::pg_catalog.text AS name,
  o.conrelid::pg_catalog.int8 AS from_table,
  o.confrelid::pg_catalog.int8 AS to_table,
  ARRAY(
    SELECT a.attname::pg_catalog.text
    FROM pg_catalog.unnest(o.conkey) WITH ORDINALITY AS k (number, place)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = o.conrelid AND a.attnum = k.number
    ORDER BY k.place
  ) AS columns,
  ARRAY(
    SELECT a.attname::pg_catalog.text
    FROM pg_catalog.unnest(o.confkey) WITH ORDINALITY AS k (number, place)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = o.confrelid AND a.attnum = k.number
    ORDER BY k.place
  ) AS referenced
FROM pg_catalog.pg_constraint AS o
WHERE o.contype = 'f' AND o.conparentid = 0
ORDER BY 2, 1
