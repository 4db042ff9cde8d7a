-- the relations that would be changed and that another role owns; $1 their names
SELECT
  'blocking' AS weight,
  relation.name AS object,
  format('owned by %s; only the owner can change it', pg_get_userbyid(class.relowner)) AS words
FROM unnest($1::text[]) AS relation (name)
JOIN pg_catalog.pg_class AS class
  ON class.oid = to_regclass(relation.name)
WHERE NOT pg_has_role(class.relowner, 'USAGE')
ORDER BY 2
