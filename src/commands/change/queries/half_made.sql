-- invalid indexes and unvalidated constraints, one row each: what it is and its name
SELECT
  'index' AS kind,
  pg_catalog.format('%I.%I', namespace.nspname, class.relname) AS name
FROM pg_catalog.pg_index AS index
JOIN pg_catalog.pg_class AS class
  ON class.oid OPERATOR(pg_catalog.=) index.indexrelid
JOIN pg_catalog.pg_namespace AS namespace
  ON namespace.oid OPERATOR(pg_catalog.=) class.relnamespace
WHERE NOT index.indisvalid
  -- an index of a partitioned table is invalid until its partitions have theirs, which is a way of making it
  AND class.relkind OPERATOR(pg_catalog.=) 'i'
UNION ALL
SELECT
  'constraint',
  pg_catalog.format('%I on %I.%I', con.conname, namespace.nspname, class.relname)
FROM pg_catalog.pg_constraint AS con
JOIN pg_catalog.pg_class AS class
  ON class.oid OPERATOR(pg_catalog.=) con.conrelid
JOIN pg_catalog.pg_namespace AS namespace
  ON namespace.oid OPERATOR(pg_catalog.=) class.relnamespace
WHERE NOT con.convalidated
ORDER BY 1, 2
