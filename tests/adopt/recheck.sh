#!/usr/bin/env bash
# Lets the tools that can be had run their own samples, and holds what they leave against each history.sql.
#
#   tests/adopt/recheck.sh URL        a server to play on, as a superuser; names of tools are taken from PATH:
#                                     dbmate, node-pg-migrate, graphile-migrate, alembic, sqitch, sqlx, diesel, migrate, goose
set -euo pipefail
url=${1:?"the address of a server, such as postgres://postgres@localhost:5432"}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# Makes two databases, lets the tool work in one, runs history.sql in the other, and compares the rows.
check() {
    local tool=$1 table=$2 columns=$3
    if ! command -v "${4%% *}" >/dev/null; then
        echo "$tool: not here"
        return
    fi
    for database in theirs ours; do
        psql -q "$url/postgres" -c "DROP DATABASE IF EXISTS af_db_$database" -c "CREATE DATABASE af_db_$database" 2>/dev/null
    done
    cp -r "$here/$tool" "$work/$tool"
    (cd "$work/$tool" && DATABASE_URL="$url/af_db_theirs?sslmode=disable" bash -euc "$4") >"$work/said" 2>&1 || { cat "$work/said"; failed=1; }
    psql -q "$url/af_db_ours" -f "$here/$tool/history.sql"
    local ask="SELECT $columns FROM $table ORDER BY 1"
    if diff <(psql -Atc "$ask" "$url/af_db_theirs") <(psql -Atc "$ask" "$url/af_db_ours"); then
        echo "$tool: the same"
    else
        echo "$tool: differs"
        failed=1
    fi
}

check dbmate schema_migrations version 'dbmate --version; rm db/migrations/20260107*; dbmate --no-dump-schema up'
check node-pg-migrate pgmigrations name 'node-pg-migrate up 2'
check alembic alembic_version version_num 'alembic --version; sed -i "s#^sqlalchemy.url.*#sqlalchemy.url = ${DATABASE_URL/postgres:/postgresql+psycopg:}#" alembic.ini; alembic upgrade fbb46e24f152'
check sqlx _sqlx_migrations "version, description, success, encode(checksum, 'hex')" 'sqlx migrate run --target-version 20260106090000'
check diesel __diesel_schema_migrations version 'diesel migration run; diesel migration revert'
check golang-migrate schema_migrations 'version, dirty' 'migrate -path migrations -database "$DATABASE_URL" up 2'
check goose goose_db_version 'version_id, is_applied' 'goose -dir migrations postgres "$DATABASE_URL" up-to 2; goose -dir migrations postgres "$DATABASE_URL" down; goose -dir migrations postgres "$DATABASE_URL" up-to 2'
check sqitch sqitch.changes 'change, script_hash' 'sqitch deploy --to @v1.0.0 "db:${DATABASE_URL/postgres:/pg:}"'
exit "$failed"
