-- the tables managed by Citus, one row each: name, distribution and column, as documented for pg_dist_partition
SELECT
  pg_catalog.format('%I.%I', namespace.nspname, class.relname) AS name,
  dist.partmethod::pg_catalog.text AS method,
  dist.repmodel::pg_catalog.text AS replication,
  dist.colocationid::pg_catalog.int8 AS colocation
FROM pg_catalog.pg_dist_partition AS dist
JOIN pg_catalog.pg_class AS class
  ON class.oid OPERATOR(pg_catalog.=) dist.logicalrelid::pg_catalog.oid
JOIN pg_catalog.pg_namespace AS namespace
  ON namespace.oid OPERATOR(pg_catalog.=) class.relnamespace
ORDER BY 1
