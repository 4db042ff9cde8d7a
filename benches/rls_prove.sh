#!/usr/bin/env bash
# How long a proof takes: of the reference project, and of a database with many tables of tenants.
#
#   benches/rls_prove.sh [TABLES] [ROUNDS]
#
# Needs a build with `--profile dist` and a PostgreSQL server to play on, reached through the usual PG… variables as a superuser. Prints
# the median of the rounds in seconds, the start of the scratch server included.
set -euo pipefail
tables=${1:-200}
rounds=${2:-3}
root=$(cd "$(dirname "$0")/.." && pwd)
program=${AF_DB:-$root/target/dist/af-db}
work=$(mktemp -d)
database=af_db_bench_prove
export PGHOST=${PGHOST:-localhost} PGPORT=${PGPORT:-5432} PGUSER=${PGUSER:-postgres}
trap 'rm -rf "$work"; psql -qc "DROP DATABASE IF EXISTS $database" postgres' EXIT

psql -qc "DROP DATABASE IF EXISTS $database" -c "CREATE DATABASE $database" postgres
psql -q "$database" <<SQL
SET client_min_messages = warning;
DO \$\$ BEGIN CREATE ROLE app_bench; EXCEPTION WHEN duplicate_object THEN NULL; END \$\$;
GRANT USAGE ON SCHEMA public TO app_bench;
CREATE TABLE tenants (id int PRIMARY KEY, name text);
DO \$\$
DECLARE own text := 'tenant_id = (SELECT nullif(current_setting(''app.tenant_id'', true), '''')::int)';
BEGIN
  FOR n IN 1..$tables LOOP
    EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, name text NOT NULL,
      kind text CHECK (kind IN (''a'', ''b'')), at timestamptz DEFAULT now())', n);
    EXECUTE format('CREATE INDEX ON t%s (tenant_id)', n);
    EXECUTE format('ALTER TABLE t%s ENABLE ROW LEVEL SECURITY', n);
    EXECUTE format('CREATE POLICY s ON t%s FOR SELECT TO app_bench USING (%s)', n, own);
    EXECUTE format('CREATE POLICY i ON t%s FOR INSERT TO app_bench WITH CHECK (%s)', n, own);
    EXECUTE format('CREATE POLICY u ON t%s FOR UPDATE TO app_bench USING (%s)', n, own);
    EXECUTE format('CREATE POLICY d ON t%s FOR DELETE TO app_bench USING (%s)', n, own);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON t%s TO app_bench', n);
  END LOOP;
END \$\$;
SQL
cat >"$work/tenancy.yaml" <<YAML
tenancy: { column: tenant_id, identity: { role: app_bench, guc: app.tenant_id }, tenants: { a: 1, b: 2 } }
YAML

median() {
  local times=() began
  for _ in $(seq "$rounds"); do
    began=$(date +%s.%N)
    "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; exit 1; }
    times+=("$(echo "$(date +%s.%N) - $began" | bc)")
  done
  printf '%s\n' "${times[@]}" | sort -n | sed -n "$(((rounds + 1) / 2))p"
}

cd "$root"
echo "the reference project: $(median "$program" diff-rls --prove --shadow) s"
url="host='$PGHOST' port=$PGPORT user=$PGUSER dbname=$database"
echo "$tables tables of tenants: $(median "$program" diff-rls --prove --tenancy "$work/tenancy.yaml" --database-url "$url") s"
