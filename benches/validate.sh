#!/usr/bin/env bash
# `validate --shadow` of a folder of migrations beside psql, which only runs them.
#
#   benches/validate.sh [ROUNDS] [MIGRATIONS]
#
# 5 500 is the whole measurement: at most 1.3 times what psql needs, and a second. Needs a build with `--profile dist` (or AF_DB, where it
# is) and initdb, pg_ctl and psql (in PG_BIN or on the path). Both work on throw-away servers that keep nothing; psql's is
# running when it begins, that of af-db is started by it. Runs in turns; prints the medians and their relation.
set -euo pipefail
rounds=${1:-3} number=${2:-500}
root=$(cd "$(dirname "$0")/.." && pwd)
program=${AF_DB:-$root/target/dist/af-db}
bin=${PG_BIN:-$(dirname "$(readlink -f "$(command -v initdb)")")}
work=$(mktemp -d)
trap '"${as[@]}" "$bin/pg_ctl" -D "$work/data" -m immediate stop > "$work/out" || true; rm -rf "$work"' EXIT
as=(env)
if [ "$(id -u)" = 0 ]; then
  chown postgres "$work"
  as=(runuser -u postgres --)
fi
"${as[@]}" "$bin/initdb" -D "$work/data" -A trust --no-sync --no-locale -E UTF8 -U postgres > "$work/out"
"${as[@]}" "$bin/pg_ctl" -D "$work/data" -l "$work/log" -w start > "$work/out" \
  -o "-k $work -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off"
export PGHOST=$work PGUSER=postgres PGDATABASE=postgres

mkdir -p "$work/project/migrations"
files=()
for n in $(seq "$number"); do
  file=$work/project/migrations/V${n}__thing.sql
  printf 'CREATE TABLE thing_%d (\n  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n  name text NOT NULL,\n  made_at timestamptz NOT NULL DEFAULT now()\n);\nCREATE INDEX thing_%d_name_idx ON thing_%d (name);\nCOMMENT ON TABLE thing_%d IS %s;\n' \
    "$n" "$n" "$n" "$n" "'thing $n'" > "$file"
  files+=(-f "$file")
done
# measure NAME command…: appends the seconds of one run.
measure() {
  local name=$1 began=$EPOCHREALTIME
  shift
  "$@" > "$work/out" 2> "$work/err" || { cat "$work/out" "$work/err"; exit 1; }
  echo "$name $began $EPOCHREALTIME" | awk '{ printf "%s %.3f\n", $1, $3 - $2 }' >> "$work/measured"
}
validate() { cd "$work/project" && "$program" -q validate --shadow --fail-on error; }
validate > "$work/out" # The template of the scratch server is there from now on.
for _ in $(seq "$rounds"); do
  psql -qX template1 -c 'SET client_min_messages = error' -c 'DROP DATABASE IF EXISTS played WITH (FORCE)' -c 'CREATE DATABASE played'
  measure psql psql -qX -v ON_ERROR_STOP=1 played "${files[@]}"
  measure af-db validate
done
sort -k1,1 -k2,2n "$work/measured" | awk -v number="$number" '
  { of[$1] = of[$1] " " $2 }
  END {
    for (name in of) { n = split(of[name], runs, " "); median[name] = runs[int((n + 1) / 2)] }
    allowed = 1.3 * median["psql"] + 1
    printf "%d migrations: psql %.2f s, validate --shadow %.2f s, at most %.2f s\n", number, median["psql"], median["af-db"], allowed
    exit median["af-db"] > allowed
  }'
