#!/usr/bin/env bash
# How long readers and writers wait behind a migration that waits for a blocker.
#
#   benches/blocker.sh [SECONDS] [CLIENTS]
#
# 60 100 is the whole measurement. An idle transaction holds the table for that long, half of the clients read and half write
# all the time, and af-db up wants to alter the table. Each statement's latency comes from pgbench's log; prints the longest
# beside the longest lock timeout of the ladder, 1.5 s. Needs a server to play on (PGHOST, PGPORT, PGUSER) with more than
# CLIENTS connections, and pgbench.
set -euo pipefail
seconds=${1:-10} clients=${2:-20}
root=$(cd "$(dirname "$0")/.." && pwd)
program=${AF_DB:-$root/target/dist/af-db}
work=$(mktemp -d)
export PGHOST=${PGHOST:-127.0.0.1} PGPORT=${PGPORT:-5432} PGUSER=${PGUSER:-postgres}
database=af_db_bench_blocker
url=postgresql://$PGUSER@$PGHOST:$PGPORT/$database
trap 'cd /; rm -rf "$work"; psql -qX postgres -c "DROP DATABASE IF EXISTS $database WITH (FORCE)"' EXIT
psql -qX postgres -c 'SET client_min_messages = error' -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" -c "CREATE DATABASE $database"
psql -qX "$database" -c 'CREATE TABLE busy (id int PRIMARY KEY, n int)' -c 'INSERT INTO busy SELECT n, 0 FROM generate_series(1, 10000) AS n'
mkdir -p "$work/migrations"
echo 'ALTER TABLE busy ADD COLUMN more int;' > "$work/migrations/V1__more.sql"
printf '\\set id random(1, 10000)\nSELECT n FROM busy WHERE id = :id;\n\\sleep 20 ms\n' > "$work/read.sql"
printf '\\set id random(1, 10000)\nUPDATE busy SET n = n + 1 WHERE id = :id;\n\\sleep 20 ms\n' > "$work/write.sql"
cd "$work"
psql -qX "$database" -c 'BEGIN; SELECT FROM busy LIMIT 1; SELECT pg_sleep('"$seconds"'); COMMIT' > /dev/null &
pgbench -n -M simple -c "$clients" -j 2 -T "$((seconds + 5))" -f read.sql@1 -f write.sql@1 -l --log-prefix="$work/log" "$database" > "$work/pgbench" 2>&1 &
load=$!
sleep 1
status=0
"$program" --database-url "$url" up > "$work/out" 2> "$work/err" || status=$?
tail -3 "$work/err"
wait "$load"
# The log's third column is the whole transaction in microseconds, 20 ms of it asleep.
awk -v status="$status" '{ waited = $3 / 1000 - 20; if (waited > most) most = waited; count++ }
  END { printf "%d statements, the longest waited %.0f ms, at most 1650 ms; up ended with %d\n", count, most, status; exit !(most <= 1650 && status == 0) }' log.*
