#!/usr/bin/env bash
# How long `plan` takes for 20 pending migrations, with a warm cache: the reference project and as many more as are
# missing to 20, on the embedded PostgreSQL. Prints the median of the rounds (default 5).
#   benches/plan.sh [ROUNDS]
set -euo pipefail
rounds=${1:-5}
here=$(cd "$(dirname "$0")/.." && pwd)
af_db=${AF_DB:-$here/target/dist/af-db}
[ -x "$af_db" ] || (cd "$here" && cargo build --profile dist --locked)
work=$(mktemp -d)
trap '(cd "$work" && "$af_db" dev stop >/dev/null 2>&1) || true; rm -rf "$work"' EXIT
cp -r "$here/migrations" "$here/schemas" "$here/policies" "$work/"
touch "$work/.git"
printf 'schemas: [public, app]\n' > "$work/af-db.yaml"
cd "$work"
last=$(ls migrations/V*.sql | grep -v down | sed 's/.*V\([0-9]*\)__.*/\1/' | sort -n | tail -1)
for number in $(seq $((last + 1)) 20); do
    printf 'CREATE TABLE bench_%s (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, name text);\nCREATE INDEX bench_%s_tenant ON bench_%s (tenant_id);\nALTER TABLE bench_%s ADD COLUMN more int NOT NULL DEFAULT 0;\n' \
        "$number" "$number" "$number" "$number" > "migrations/V${number}__bench_$number.sql"
done
"$af_db" dev start >/dev/null 2>&1
"$af_db" plan --json > /dev/null 2>&1 || true
times=()
for _ in $(seq "$rounds"); do
    began=$(date +%s%N)
    "$af_db" plan --out plan.json > /dev/null 2>&1 || true
    times+=($((($(date +%s%N) - began) / 1000000)))
done
steps=$(grep -c '"way-back"' plan.json)
median=$(printf '%s\n' "${times[@]}" | sort -n | sed -n "$(((rounds + 1) / 2))p")
echo "plan of $steps pending migrations: median $median ms of ${times[*]}"
