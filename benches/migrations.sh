#!/usr/bin/env bash
# Applying migrations beside the least a program must do (benches/floor), psql, and dbmate and sqlx where they are on the path.
#
#   benches/migrations.sh [ROUNDS] [SMALL] [APPLIED] [MEGABYTES] [DELAYED]
#
# 5 1000 5000 200 200 is the whole measurement: 1000 small migrations on an empty database, nothing pending of 5000 applied,
# a file of 10 MB of inserts, the memory of a file of 200 MB, and 200 migrations over 50 ms in each direction. Needs a dist
# build (or AF_DB and FLOOR, where they are) and a PostgreSQL server to play on, reached over TCP through PGHOST, PGPORT and PGUSER without a password. Runs in
# interleaved rounds; prints the median of each round's ratio to the first of its group.
set -euo pipefail
rounds=${1:-3} small=${2:-200} applied=${3:-1000} megabytes=${4:-50} delayed=${5:-20}
root=$(cd "$(dirname "$0")/.." && pwd)
program=${AF_DB:-$root/target/dist/af-db}
work=$(mktemp -d)
export PGHOST=${PGHOST:-127.0.0.1} PGPORT=${PGPORT:-5432} PGUSER=${PGUSER:-postgres}
database=af_db_bench_migrations
url=postgresql://$PGUSER@$PGHOST:$PGPORT/$database
delay=
trap '[ -z "$delay" ] || kill "$delay"; rm -rf "$work"; psql -qX postgres -c "DROP DATABASE IF EXISTS $database WITH (FORCE)"' EXIT
floor=${FLOOR:-$root/target/floor/release/floor}
[ -n "${FLOOR:-}" ] || cargo build -q --release --manifest-path "$root/benches/floor/Cargo.toml" --target-dir "$root/target/floor"

fresh() {
  psql -qX postgres -c 'SET client_min_messages = error' -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" -c "CREATE DATABASE $database TEMPLATE template0"
}
# small NUMBER FOLDER: so many migrations as people write them.
small() {
  mkdir -p "$2"
  for n in $(seq "$1"); do
    printf 'CREATE TABLE t_%d (id bigint PRIMARY KEY, name text NOT NULL);\nCREATE INDEX ON t_%d (name);\nCOMMENT ON TABLE t_%d IS '"'table %d'"';\n' "$n" "$n" "$n" "$n" > "$2/V${n}__t.sql"
  done
}
# measure GROUP NAME command…: appends wall seconds and peak kilobytes of one run.
measure() {
  local group=$1 name=$2 began=$EPOCHREALTIME
  shift 2
  /usr/bin/time -o "$work/time" -f '%M' "$@" > "$work/out" 2> "$work/err" || { cat "$work/err"; exit 1; }
  echo "$group $name $began $EPOCHREALTIME $(tail -1 "$work/time")" | awk '{ printf "%s %s %.4f %s\n", $1, $2, $4 - $3, $5 }' >> "$work/measured"
}
af() { cd "$1" && shift && exec "$program" -q --database-url "${AF_URL:-$url}" "$@"; }
export -f af
export program url

small "$small" "$work/small/migrations"
files=()
for n in $(seq "$small"); do files+=(-f "$work/small/migrations/V${n}__t.sql"); done
mkdir -p "$work/dbmate" "$work/sqlx"
for n in $(seq "$small"); do
  version=$(printf '%014d' "$n")
  { echo '-- migrate:up'; cat "$work/small/migrations/V${n}__t.sql"; } > "$work/dbmate/${version}_t.sql"
  cp "$work/small/migrations/V${n}__t.sql" "$work/sqlx/${version}_t.sql"
done
for _ in $(seq "$rounds"); do
  fresh; measure small floor "$floor" apply "$url" "$work/small/migrations"
  fresh; measure small af-db bash -c "af '$work/small' up"
  fresh; measure small psql psql -qX "$database" "${files[@]}"
  if command -v dbmate > /dev/null; then
    fresh; measure small dbmate dbmate --url "$url?sslmode=disable" -d "$work/dbmate" --no-dump-schema up
  fi
  if command -v sqlx > /dev/null; then
    fresh; measure small sqlx sqlx migrate run --source "$work/sqlx" --database-url "$url"
  fi
done

mkdir -p "$work/applied/migrations"
for n in $(seq "$applied"); do echo "SELECT $n;" > "$work/applied/migrations/V${n}__t.sql"; done
fresh
(af "$work/applied" up) > "$work/out" 2>&1
# The floor reads as many rows of the same kind.
psql -qX "$database" -c 'CREATE TABLE floor_history AS SELECT * FROM refinery_schema_history'
for _ in $(seq "$((rounds * 5))"); do
  measure nothing floor bash -c "exec '$floor' look '$url'"
  measure nothing af-db bash -c "af '$work/applied' up"
  measure reading floor bash -c "exec '$floor' look '$url' '$work/applied/migrations'"
  measure reading af-db bash -c "af '$work/applied' up"
done

mkdir -p "$work/inserts/migrations" "$work/large/migrations"
awk 'BEGIN { print "CREATE TABLE words (id int, words text);"
  for (n = 0; size < 10000000; n++) { line = sprintf("INSERT INTO words VALUES (%d, '"'some words as they stand in a row, number %d'"');", n, n); size += length(line) + 1; print line } }' > "$work/inserts/migrations/V1__words.sql"
awk -v limit="$((megabytes * 1000000))" 'BEGIN { for (n = 0; n < 150; n++) words = words "words "; print "CREATE TABLE words (id int, words text);"
  for (n = 0; size < limit; n++) { line = sprintf("INSERT INTO words VALUES (%d, '"'%s'"');", n, words); size += length(line) + 1; print line } }' > "$work/large/migrations/V1__words.sql"
for _ in $(seq "$rounds"); do
  fresh; measure inserts psql psql -qX1 "$database" -f "$work/inserts/migrations/V1__words.sql"
  fresh; measure inserts af-db bash -c "af '$work/inserts' up"
done
fresh; measure large af-db bash -c "af '$work/large' up"

small "$delayed" "$work/delayed/migrations"
port=$((PGPORT + 1000))
"$floor" delay "$port" "$PGPORT" 50 &
delay=$!
sleep 0.3
fresh
AF_URL=postgresql://$PGUSER@127.0.0.1:$port/$database?sslmode=disable measure delayed af-db bash -c "af '$work/delayed' up"

awk -v delayed="$delayed" -v megabytes="$megabytes" '
  function median(list, count,   i, j, swap) {
    for (i = 1; i <= count; i++) for (j = i + 1; j <= count; j++) if (list[j] < list[i]) { swap = list[i]; list[i] = list[j]; list[j] = swap }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
  }
  { key = $1 " " $2; n = ++seen[key]; wall[key, n] = $3; if ($4 > peak[key]) peak[key] = $4
    if (!($1 in first)) first[$1] = key; if (n == 1) order[++keys] = key }
  END {
    for (k = 1; k <= keys; k++) {
      key = order[k]; split(key, part, " "); base = first[part[1]]
      for (n = 1; n <= seen[key]; n++) { w[n] = wall[key, n] / wall[base, n]; a[n] = wall[key, n] }
      printf "%-16s ratio %.2f  %8.3f s  %5.0f MB\n", key, median(w, seen[key]), median(a, seen[key]), peak[key] / 1024
    }
    printf "delayed: at most %.1f s; large: at most %d MB\n", delayed * 2 * 0.1 + 3, megabytes + 64
  }' "$work/measured"
