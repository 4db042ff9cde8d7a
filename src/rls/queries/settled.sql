-- Expressions of the policies on temporary tables, as the server prints them.
SELECT
  p.polname::text,
  pg_catalog.pg_get_expr(p.polqual, p.polrelid)
FROM pg_catalog.pg_policy AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
WHERE c.relnamespace = pg_catalog.pg_my_temp_schema()
