#!/usr/bin/env bash
# Moves a SQLite table into PostgreSQL with af-db and with psql's \copy, side by side, and prints the ratio of medians.
#
#   benches/copy.sh [ROWS] [ROUNDS]        AF_DB=target/dist/af-db  PG_BIN=/usr/lib/postgresql/15/bin
set -euo pipefail
rows=${1:-1000000} rounds=${2:-3}
af_db=$(realpath "${AF_DB:-target/dist/af-db}")
bin=${PG_BIN:-$(dirname "$(realpath "$(command -v initdb)")")}
work=$(mktemp -d /tmp/af-db-copy-XXXXXX)
run() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$work"
    run() { runuser -u postgres -- "$@"; }
fi
trap 'run "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null; rm -rf "$work"' EXIT
port=$((50000 + RANDOM % 10000))
run "$bin/initdb" -D "$work/data" -A trust -U postgres --no-sync >/dev/null
run "$bin/pg_ctl" -D "$work/data" -o "-p $port -k $work -c fsync=off -c max_wal_size=8GB" -l "$work/log" -w start >/dev/null
export PGHOST=$work PGPORT=$port PGUSER=postgres PGDATABASE=postgres
cd "$work"
python3 - "$rows" <<'PYTHON'
import csv, datetime, random, sqlite3, sys
random.seed(7)
start = datetime.datetime(2026, 1, 1)
database = sqlite3.connect("dev.db")
database.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, kind TEXT NOT NULL, at TEXT NOT NULL, amount REAL, done BOOLEAN NOT NULL, note TEXT)")
def rows(count):
    for number in range(1, count + 1):
        note = None if number % 10 == 0 else "note %d %x" % (number, random.getrandbits(160))
        at = (start + datetime.timedelta(seconds=number * 7)).strftime("%Y-%m-%d %H:%M:%S")
        yield (number, number % 997, "kind%d" % (number % 13), at, random.random() * 1000, number % 2, note)
with open("events.csv", "w", newline="") as file:
    out = csv.writer(file)
    batch = list(rows(int(sys.argv[1])))
    database.executemany("INSERT INTO events VALUES (?,?,?,?,?,?,?)", batch)
    out.writerows(batch)
database.commit()
PYTHON
table="DROP TABLE IF EXISTS events; CREATE TABLE events (id bigint PRIMARY KEY, tenant bigint NOT NULL, kind text NOT NULL, at timestamptz NOT NULL, amount double precision, done boolean NOT NULL, note text)"
seconds() { local begin=$EPOCHREALTIME; "$@" >/dev/null 2>"$work/said" || { cat "$work/said" >&2; exit 1; }; echo "$begin $EPOCHREALTIME" | awk '{printf "%.3f\n", $2 - $1}'; }
copied() { "$bin/psql" -qX -c "\\copy events FROM 'events.csv' (FORMAT csv)"; }
moved() { "$af_db" copy sqlite://dev.db --yes --database-url "host=$work port=$port user=postgres dbname=postgres"; }
for round in $(seq "$rounds"); do
    for way in copied moved; do
        "$bin/psql" -qX -c "$table" -c CHECKPOINT 2>/dev/null
        seconds $way >>"$work/$way"
    done
done
median() { sort -n "$1" | awk '{a[NR] = $1} END {print a[int((NR + 1) / 2)]}'; }
awk -v rows="$rows" -v copied="$(median "$work/copied")" -v moved="$(median "$work/moved")" \
    'BEGIN {printf "%d rows: \\copy %.2f s, af-db copy with proof %.2f s, ratio %.2f\n", rows, copied, moved, moved / copied}'
