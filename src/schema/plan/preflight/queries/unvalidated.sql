-- the constraints that old rows may break, by table and name
SELECT
  'note' AS weight,
  format('%I on %s', con.conname, con.conrelid::regclass) AS object,
  'the constraint is not validated; existing rows may violate it' AS words
FROM pg_catalog.pg_constraint AS con
WHERE NOT con.convalidated
  AND con.conrelid <> 0
ORDER BY 2
