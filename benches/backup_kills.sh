#!/usr/bin/env bash
# Kills the program, its tools or the server at random moments of backups and restores, and looks at what is left each time.
#
#   benches/backup_kills.sh [KILLS] [SEED]
#
# The archive that is restored is in two parts, and so is every other that is made.
#
# A kill counts only where it struck: where the program did not end well all the same. After every kill: each archive that is
# listed verifies, and the database is what it was, row for row. Afterwards one backup and one restore must succeed and leave
# nothing of all that behind. Starts a server of its own on a free port, with fsync on, because a crash is what is tried. Needs
# PostgreSQL's server programs (PGBIN, or the newest under /usr/lib/postgresql).
set -uo pipefail
kills=${1:-200}
RANDOM=${2:-1}
root=$(cd "$(dirname "$0")/.." && pwd)
program=${AF_DB:-$root/target/dist/af-db}
bin=${PGBIN:-$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)}
# Processes are what is killed here, not the machine, so memory is as good a disk as any, and much faster to start over from.
room=/var/tmp
[ "$(df --output=avail -k /dev/shm 2> /dev/null | tail -1)" -gt 2000000 ] 2> /dev/null && room=/dev/shm
work=$(mktemp -d "$room/af-db-kills-XXXXXX")
as=()
if [ "$(id -u)" = 0 ]; then as=(runuser -u postgres --); chown postgres "$work"; fi
port=$(( 20000 + $$ % 20000 ))
export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres
url="host=127.0.0.1 port=$port user=postgres dbname=shop sslmode=disable"
start() { "${as[@]}" "$bin/pg_ctl" -D "$work/data" -l "$work/log" -w -t 120 -o "-p $port -c listen_addresses=127.0.0.1 -k $work" start > /dev/null; }
stop() { "${as[@]}" "$bin/pg_ctl" -D "$work/data" -m immediate stop > /dev/null 2>&1; }
trap 'stop; rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
cd "$work" || exit 1
"${as[@]}" "$bin/initdb" -D "$work/data" -A trust -U postgres > /dev/null && start || exit 1
psql -qc 'CREATE DATABASE shop' postgres
psql -q shop <<'SQL'
CREATE TABLE big AS SELECT n, repeat(md5(n::text), 8) AS text FROM generate_series(1, 60000) AS n;
ALTER TABLE big ADD PRIMARY KEY (n);
CREATE INDEX ON big (text);
CREATE TABLE small AS SELECT n, 'row ' || n AS text FROM generate_series(1, 1000) AS n;
CREATE ROLE reader;
GRANT SELECT ON small TO reader;
ALTER TABLE small ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON small TO reader USING (true);
SELECT lo_from_bytea(0, repeat('x', 100000)::bytea) \g /dev/null
SQL
state() {
  psql -Atq shop -c "SELECT (SELECT sum(hashtextextended(b::text, 0)) FROM big AS b), (SELECT sum(hashtextextended(s::text, 0)) FROM small AS s), (SELECT count(*) FROM pg_policies), (SELECT count(*) FROM pg_largeobject_metadata)"
}
expected=$(state)
af() { "$program" --database-url "$url" --yes "$@"; }
began=$(date +%s%N)
af backup --to store --jobs 2 > out 2>&1 || { cat out; fail "the first backup"; }
backup_ms=$(( ($(date +%s%N) - began) / 1000000 ))
first=$(ls store)
began=$(date +%s%N)
af restore --from store --swap --yes "$first" > out 2>&1 || { cat out; fail "the first restore"; }
restore_ms=$(( ($(date +%s%N) - began) / 1000000 ))
clear_kept() { psql -Atq postgres -c "SELECT format('DROP DATABASE %I;', datname) FROM pg_database WHERE datname LIKE 'shop_before_%'" | psql -q postgres; }
clear_kept
declare -A struck
finished=0
for (( round = 1; round - finished <= kills; round++ )); do
  if (( RANDOM % 2 )); then what=backup; span=$backup_ms; else what=restore; span=$restore_ms; fi
  if [ $what = backup ]; then af backup --to store --jobs $(( 1 + RANDOM % 2 )) > out 2>&1 & else af restore --from store --swap --yes "$first" > out 2>&1 & fi
  pid=$!
  sleep "$(awk -v ms=$(( RANDOM * (span + 200) / 32768 )) 'BEGIN { print ms / 1000 }')"
  case $(( RANDOM % 4 )) in
    0) victim=program; kill -9 $pid 2> /dev/null ;;
    1) victim=tool; pkill -9 -P $pid 2> /dev/null ;;
    2) victim=session; backend=$(psql -Atqc "SELECT pid FROM pg_stat_activity WHERE application_name LIKE '%af-db%' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1" postgres); [ -n "$backend" ] && kill -9 "$backend" 2> /dev/null ;;
    3) victim=server; stop ;;
  esac
  if wait $pid 2> /dev/null; then
    finished=$(( finished + 1 ))
  else
    struck[$what/$victim]=$(( ${struck[$what/$victim]:-0} + 1 ))
  fi
  "${as[@]}" "$bin/pg_ctl" -D "$work/data" status > /dev/null 2>&1 || start || fail "the server does not come back"
  # A crash of one session makes the server start over by itself.
  for _ in $(seq 200); do psql -qc 'SELECT 1' postgres > /dev/null 2>&1 && break; sleep 0.1; done
  # The last request of a killed program may still end sessions, ours among them.
  for _ in 1 2 3 4 5; do now=$(state 2>&1); [ "$now" = "$expected" ] && break; sleep 0.3; done
  [ "$now" = "$expected" ] || fail "round $round, $what, $victim: the database is no more what it was: $now"
  for archive in $(af backup list store --json 2> /dev/null | grep -o '"name": *"shop-[^"]*"' | cut -d'"' -f4); do
    af backup verify --from store "$archive" > out 2>&1 || { cat out; fail "round $round, $what, $victim: $archive is listed and does not verify"; }
    [ "$archive" = "$first" ] || rm -rf "store/$archive"
  done
  clear_kept
done
af backup --to store > out 2>&1 || { cat out; fail "the last backup"; }
af restore --from store --swap --yes latest > out 2>&1 || { cat out; fail "the last restore"; }
clear_kept
[ "$(state)" = "$expected" ] || fail "the last restore changed something"
left=$(psql -Atqc "SELECT string_agg(datname, ' ') FROM pg_database WHERE datname LIKE '%restoring%'" postgres)
[ -z "$left" ] || fail "left behind: $left"
ls -A store | grep -q partial && fail "left behind in the store: $(ls -A store)"
echo "$kills kills struck and $finished came too late: no damaged archive accepted, the database never lost, nothing left behind"
for one in "${!struck[@]}"; do echo "  $one ${struck[$one]}"; done | sort
