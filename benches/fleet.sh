#!/usr/bin/env bash
# A fleet on one server: how many databases `status` asks in a second, and what becomes of all of them when `up` is killed
# in the middle and run again, with some ahead, some drifted, some out of reach and some locked.
#
#   benches/fleet.sh AF_DB URL [COUNT]     URL is of a superuser, on a server that may be filled and emptied
set -euo pipefail
af_db=$(realpath "$1") url=$2 count=${3:-200}
work=$(mktemp -d)
cd "$work"
name() { printf 'fleet_bench_%03d' "$1"; }
base=${url%/*}
sql() { psql -qAtX "$base/$1" -v ON_ERROR_STOP=1 -c "$2"; }
cleanup() {
    kill $(jobs -p) 2>/dev/null || true
    for ((i = 0; i < count; i++)); do sql postgres "DROP DATABASE IF EXISTS $(name "$i") WITH (FORCE)"; done
    rm -rf "$work"
}
trap cleanup EXIT

mkdir migrations
echo 'CREATE TABLE accounts (id bigint PRIMARY KEY, note text);' >migrations/V1__accounts.sql
echo 'ALTER TABLE accounts ADD COLUMN name text;' >migrations/V2__name.sql
echo 'CREATE TABLE orders (id bigint PRIMARY KEY, account bigint REFERENCES accounts);' >migrations/V3__orders.sql
sql postgres 'DROP DATABASE IF EXISTS fleet_bench_template'
sql postgres 'CREATE DATABASE fleet_bench_template'
"$af_db" up -q --database-url "$base/fleet_bench_template" --to 1 >/dev/null
{
    echo "base: '$url'"
    echo 'concurrency: 16'
    echo 'per-server: 16'
    echo 'retries: 1'
    echo 'connect-timeout: 5s'
    echo 'waves: [{ name: canary, count: 5 }]'
    echo 'databases:'
} >fleet.yaml
for ((i = 0; i < count; i++)); do
    sql postgres "CREATE DATABASE $(name "$i") TEMPLATE fleet_bench_template STRATEGY file_copy" 2>/dev/null ||
        sql postgres "CREATE DATABASE $(name "$i") TEMPLATE fleet_bench_template"
    echo "- { database: $(name "$i") }" >>fleet.yaml
done
sql postgres 'DROP DATABASE fleet_bench_template'
for i in 1 2 3; do echo "- { name: gone_$i, database: fleet_bench_gone_$i }" >>fleet.yaml; done

echo "== status of $((count + 3)) databases"
for _ in 1 2 3 4 5; do
    began=$(date +%s.%N)
    "$af_db" status -q --fleet fleet.yaml --json >status.json
    ended=$(date +%s.%N)
    awk -v n="$((count + 3))" -v a="$began" -v b="$ended" 'BEGIN { printf "%.2f s, %.0f databases a second\n", b - a, n / (b - a) }'
done

echo '== up: 10 ahead, 5 drifted, 3 out of reach, 2 locked; killed, then resumed'
for ((i = 0; i < 10; i++)); do "$af_db" up -q --database-url "$base/$(name "$i")" >/dev/null; done
for ((i = 10; i < 15; i++)); do sql "$(name "$i")" 'ALTER TABLE accounts ADD COLUMN by_hand int'; done
for i in 15 16; do
    psql -qX "$base/$(name "$i")" -c 'BEGIN' -c 'LOCK TABLE accounts' -c 'SELECT pg_sleep(600)' >/dev/null 2>&1 &
done
sleep 1
"$af_db" up -q --fleet fleet.yaml --lock-budget 1s --json >first.json 2>first.err &
pid=$!
while [ "$(sql "$(name 30)" 'SELECT max(version) FROM refinery_schema_history')" != 3 ]; do
    kill -0 "$pid" 2>/dev/null || break
done
kill -9 "$pid" 2>/dev/null && echo 'killed in the middle' || echo 'it was done before it could be killed'
wait "$pid" 2>/dev/null || true
"$af_db" up -q --resume --fleet fleet.yaml --lock-budget 1s --json >second.json 2>second.err || echo "the second run ends with $?, as it must: some could not be brought up"
python3 - <<'P'
import json
report = json.load(open("second.json"))
print("applied now", len(report["applied"]), "busy", [one["name"] for one in report["busy"]])
causes = {}
for one in report["set-aside"]:
    causes.setdefault(one["cause"], []).append(one["name"])
for cause, names in sorted(causes.items()):
    print(cause, names)
P
wrong=0
for ((i = 0; i < count; i++)); do
    rows=$(sql "$(name "$i")" 'SELECT string_agg(version::text, $$,$$ ORDER BY version) FROM refinery_schema_history')
    wanted=1,2,3
    ((i >= 10 && i < 17)) && wanted=1
    [ "$rows" = "$wanted" ] || { echo "$(name "$i") has $rows, not $wanted"; wrong=$((wrong + 1)); }
done
echo "$wrong of $count databases are not as they should be"
((wrong == 0))
