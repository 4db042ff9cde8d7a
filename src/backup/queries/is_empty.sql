-- One row: whether nobody has made anything in this database.
SELECT NOT EXISTS (
  SELECT FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n
    ON n.oid = c.relnamespace
  WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
) AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_proc AS p
  JOIN pg_catalog.pg_namespace AS n
    ON n.oid = p.pronamespace
  WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
) AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_namespace AS n
  WHERE n.nspname NOT IN ('public', 'information_schema') AND n.nspname !~ '^pg_'
) AND NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)
