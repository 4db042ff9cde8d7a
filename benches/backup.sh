#!/usr/bin/env bash
# Backup, restore and verify beside pg_dump and pg_restore as everybody runs them, in interleaved rounds.
#
#   benches/backup.sh [ROWS-IN-THOUSANDS] [ROUNDS]
#
# 9000 makes a database of more than 2 GB. Needs a build with `--profile dist` (or AF_DB), PostgreSQL's server programs (PGBIN, or the newest
# under /usr/lib/postgresql), GNU time, and about three times the database's size on disk (TMPDIR, else /var/tmp). Starts a server
# of its own, with fsync off, because a shared disk is what differs most from run to run; with PGHOST it plays on that one instead,
# as a superuser. Prints the median of each step's ratio to `pg_dump -Fc` (or `pg_restore -j2`) of the same round: wall, CPU of
# client and server together, peak memory of the client.
set -euo pipefail
thousands=${1:-9000}
rounds=${2:-5}
root=$(cd "$(dirname "$0")/.." && pwd)
program=${AF_DB:-$root/target/dist/af-db}
[ -x "$program" ] || { echo "there is no $program: cargo build --profile dist" >&2; exit 2; }
bin=${PGBIN:-$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | sort -V | tail -1)}
export PATH=$bin:$PATH PGPORT=${PGPORT:-5432} PGUSER=${PGUSER:-postgres}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/af-db-bench-XXXXXX")
database=af_db_bench_backup
as=()
own=
finish() {
  cd /
  if [ -n "$own" ]; then
    "${as[@]}" pg_ctl -D "$work/data" -m immediate stop > /dev/null 2>&1 || true
  elif [ -n "${PGHOST:-}" ]; then
    psql -qc 'SET client_min_messages = warning' -c "DROP DATABASE IF EXISTS $database" -c "DROP DATABASE IF EXISTS ${database}_restored" postgres || true
  fi
  rm -rf "$work"
}
trap finish EXIT
cd "$work"
if [ -z "${PGHOST:-}" ]; then
  if [ "$(id -u)" = 0 ]; then as=(runuser -u postgres --); chown postgres "$work"; fi
  export PGHOST=$work
  "${as[@]}" initdb -D "$work/data" -A trust -U "$PGUSER" -E UTF8 --locale=C.UTF-8 > initdb.out 2>&1 || { cat initdb.out; exit 2; }
  own=yes
  "${as[@]}" pg_ctl -D "$work/data" -l "$work/data/log" -w \
    -o "-p $PGPORT -k $work -c listen_addresses= -c fsync=off -c max_wal_size=8GB" start > start.out 2>&1 || { cat start.out data/log; exit 2; }
fi
url="host='$PGHOST' port=$PGPORT user=$PGUSER dbname=$database"
postmaster=$(psql -Atqc "SELECT setting FROM pg_settings WHERE name = 'data_directory'" postgres)
postmaster=$(head -1 "$postmaster/postmaster.pid")

fill() {
  psql -qc 'SET client_min_messages = warning' -c "DROP DATABASE IF EXISTS $database" -c "CREATE DATABASE $database" postgres
  psql -q "$database" <<SQL
SET client_min_messages = warning;
CREATE TABLE accounts AS
  SELECT n AS id, n % 100 AS branch, (random() * 1000)::int AS balance, repeat(' ', 40) AS filler
  FROM generate_series(1, $thousands * 800) AS n;
ALTER TABLE accounts ADD PRIMARY KEY (id);
CREATE TABLE events AS
  SELECT n AS id, now() - n * interval '1 second' AS at,
    jsonb_build_object('kind', 'event ' || n % 50, 'session', md5(n::text), 'path', '/a/' || n % 1000, 'ms', (random() * 100)::int) AS body
  FROM generate_series(1, $thousands * 420) AS n;
ALTER TABLE events ADD PRIMARY KEY (id);
CREATE INDEX ON events (at);
CREATE INDEX ON events ((body ->> 'kind'));
CREATE TABLE documents AS
  SELECT n AS id, (SELECT string_agg(md5((n * m)::text), ' ') FROM generate_series(1, 10) AS m) AS text
  FROM generate_series(1, $thousands * 85) AS n;
ALTER TABLE documents ADD PRIMARY KEY (id);
CREATE TABLE ledger AS
  SELECT n AS id, n % ($thousands * 85) + 1 AS document, round((random() * 10000)::numeric, 2) AS amount, 'note ' || n % 777 AS note
  FROM generate_series(1, $thousands * 330) AS n;
ALTER TABLE ledger ADD PRIMARY KEY (id), ADD FOREIGN KEY (document) REFERENCES documents (id);
CREATE INDEX ON ledger (document);
VACUUM ANALYZE;
CHECKPOINT;
SQL
}

server_ticks() { awk '{ sub(/.*\) /, ""); print $14 + $15 }' "/proc/$postmaster/stat"; }

# measure NAME command…: appends name, wall seconds, CPU seconds and peak kilobytes of one run.
measure() {
  local name=$1 before after
  shift
  before=$(server_ticks)
  /usr/bin/time -o "$work/time" -f '%e %U %S %M' "$@" > "$work/out" 2> "$work/err" || { cat "$work/err"; exit 1; }
  # A session's time is its parent's once it has ended, which may be a moment after the program has.
  sleep 0.5
  after=$(server_ticks)
  awk -v name="$name" -v ticks="$((after - before))" -v hz="$(getconf CLK_TCK)" \
    '{ printf "%s %.2f %.2f %d\n", name, $1, $2 + $3 + ticks / hz, $4 }' "$work/time" >> "$work/measured"
}

fresh() { psql -qc 'SET client_min_messages = warning' -c "DROP DATABASE IF EXISTS ${database}_restored" ${1:+-c "CREATE DATABASE ${database}_restored"} postgres; }

fill
size=$(psql -Atqc "SELECT pg_size_pretty(pg_database_size('$database'))" postgres)
# Nobody has the key to this one.
recipient=age1txyclemmkktjqq5cfmgr4aknd2thqgcjyn060fkpjtgvdnpmhucqsqdfrg
echo "$size, $rounds rounds, $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
for _ in $(seq "$rounds"); do
  rm -rf store plain.dump
  # What restores wrote has driven the database out of memory: whoever dumps first must not pay for that alone.
  pg_dump -Fc -Z0 "$database" > /dev/null
  measure pg_dump pg_dump -Fc -f plain.dump "$database"
  measure encrypted "$program" --database-url "$url" backup --to store --jobs 1 --recipient "$recipient"
  rm -rf store
  measure parallel "$program" --database-url "$url" backup --to store --jobs 2
  rm -rf store
  measure backup "$program" --database-url "$url" backup --to store --jobs 1
  measure verify "$program" --database-url "$url" backup verify --from store
  fresh made
  measure pg_restore pg_restore -j2 -d "${database}_restored" plain.dump
  fresh
  measure restore "$program" --database-url "$url" restore --from store --into "${database}_restored" --jobs 2 --scratch "$work"
  fresh
done
awk '
  function median(list, count,   i, j, swap) {
    for (i = 1; i <= count; i++) for (j = i + 1; j <= count; j++) if (list[j] < list[i]) { swap = list[i]; list[i] = list[j]; list[j] = swap }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
  }
  { n = ++seen[$1]; wall[$1, n] = $2; cpu[$1, n] = $3; if ($4 > peak[$1]) peak[$1] = $4 }
  END {
    split("pg_dump backup parallel encrypted verify pg_restore restore", steps, " ")
    for (s = 1; s <= 7; s++) {
      step = steps[s]; base = step ~ /restore/ ? "pg_restore" : "pg_dump"
      for (n = 1; n <= seen[step]; n++) { w[n] = wall[step, n] / wall[base, n]; c[n] = cpu[step, n] / cpu[base, n]; a[n] = wall[step, n] }
      printf "%-12s wall %.2f  cpu %.2f  %6.1f s  %5.0f MB\n", step, median(w, seen[step]), median(c, seen[step]), median(a, seen[step]), peak[step] / 1024
    }
  }' measured
