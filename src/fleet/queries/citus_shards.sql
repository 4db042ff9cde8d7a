-- the result of a command on each shard of a table, one row each; $1 the table, $2 the command with %s for the shard's name
SELECT
  answer.shardid::pg_catalog.int8 AS shard,
  answer.success AS success,
  answer.result AS result
FROM pg_catalog.run_command_on_shards($1::pg_catalog.text::pg_catalog.regclass, $2) AS answer
ORDER BY 1
