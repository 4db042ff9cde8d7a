-- one row when the relations to be changed fill much of the lock table; $1 the relations
SELECT
  'warning' AS weight,
  'lock table' AS object,
  format('%s relations will be locked; the lock table has %s slots', cardinality($1::text[]), room.number) AS words
FROM (
  SELECT
    current_setting('max_locks_per_transaction')::int
      * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) AS number
) AS room
WHERE cardinality($1::text[]) > room.number / 4
