#!/usr/bin/env bash
# The whole drill: 50 clients read and write, somebody holds a lock for a minute, and an approved plan is run meanwhile.
# Prints the longest a statement of a client took, and how the run ended.
#   benches/drill.sh [SECONDS]
set -euo pipefail
seconds=${1:-60}
here=$(cd "$(dirname "$0")/.." && pwd)
af_db=${AF_DB:-$here/target/dist/af-db}
[ -x "$af_db" ] || (cd "$here" && cargo build --profile dist --locked)
bin=${AF_DB_PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)}
[ -x "$bin/pgbench" ] || { echo "this needs pgbench: apt-get install postgresql" >&2; exit 2; }
work=$(mktemp -d)
trap '(cd "$work" && "$af_db" dev stop >/dev/null 2>&1) || true; rm -rf "$work"' EXIT
cd "$work"
touch .git
mkdir migrations
echo 'CREATE TABLE orders (id bigint PRIMARY KEY, note text); INSERT INTO orders SELECT g, g::text FROM generate_series(1, 100000) g;' > migrations/V1__orders.sql
"$af_db" up >/dev/null 2>&1
url=$("$af_db" dev url)
printf 'environments:\n  production: { url: "%s", protected: true, require: [approved-plan] }\n' "$url" > af-db.yaml
echo 'ALTER TABLE orders ADD COLUMN more int;' > migrations/V2__more.sql
"$af_db" plan --env production --out plan.json >/dev/null 2>&1
hash="sha256:$(sha256sum plan.json | cut -d' ' -f1)"
printf '\\set id random(1, 100000)\nSELECT note FROM orders WHERE id = :id;\nUPDATE orders SET note = note WHERE id = :id;\n' > traffic.sql
"$bin/pgbench" -n -c 50 -j 2 -T $((seconds + 15)) --rate 200 -f traffic.sql --log --log-prefix=log "$url" > traffic.out 2>&1 &
traffic=$!
"$bin/psql" -qAtX "$url" -c "SET application_name = 'report'" -c "BEGIN; SELECT count(*) FROM orders; SELECT pg_sleep($seconds); COMMIT" >/dev/null &
sleep 1
status=0
"$af_db" up --env production --plan plan.json --approve "$hash" --lock-budget $((seconds / 3))s > first.out 2>&1 || status=$?
echo "with a budget of $((seconds / 3)) s the run ended with $status, naming: $(grep -m1 'held by' first.out || echo nobody)"
status=0
"$af_db" up --env production --plan plan.json --approve "$hash" --lock-budget $((seconds + 60))s > second.out 2>&1 || status=$?
echo "with a budget of $((seconds + 60)) s the run ended with $status"
wait $traffic || true
longest=$(cat log.* | awk '{ if ($3 > longest) longest = $3 } END { print int(longest / 1000) }')
echo "the longest transaction of $(cat log.* | wc -l) by 50 clients took $longest ms"
