-- one row where a function of one of these names is volatile: the name; $1 the names
SELECT p.proname::pg_catalog.text AS name
FROM pg_catalog.pg_proc AS p
WHERE p.proname OPERATOR(pg_catalog.=) ANY ($1)
  AND p.provolatile OPERATOR(pg_catalog.=) 'v'
ORDER BY p.proname
LIMIT 1
