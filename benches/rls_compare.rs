//! How long it takes to compare declared policies with a database of many tables, four policies each.
//!
//! `cargo bench --profile dist --bench rls_compare` measures 1,000 tables; `-- 1000 10000` shows that it grows with their number. Not
//! part of the tests: what a busy machine measures proves nothing.

#![expect(clippy::print_stdout, reason = "a measurement is for the terminal")]
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made may stop"
)]

use std::time::Instant;

use af_db::catalog::{Scope, read};
use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::embedded::Options;
use af_db::pg::shadow_server::{self, ShadowServer};
use af_db::rls::declared::{Declared, read_file};
use af_db::rls::{advise, compare};
use af_db::sql::safe::Sql;

const ROUNDS: usize = 5;

const DECLARED: &str = "
tenancy: { column: tenant_id, setting: app.tenant_id, type: bigint }
templates:
  kept:
    to: tenant tables
    allow:
      app_bench: [select on own rows, insert on own rows, update on own rows, delete on own rows]
";

/// Makes the tables; every fiftieth has the same columns.
const TABLES: &str = "
DO $$
DECLARE own text := 'tenant_id = (SELECT nullif(current_setting(''app.tenant_id'', true), '''')::bigint)';
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_bench') THEN CREATE ROLE app_bench; END IF;
  FOR n IN FROM_HERE..TO_HERE LOOP
    EXECUTE format('CREATE TABLE t%s (id bigint PRIMARY KEY, tenant_id bigint NOT NULL, c%s text)', n, n % 50);
    EXECUTE format('CREATE INDEX ON t%s (tenant_id)', n);
    EXECUTE format('ALTER TABLE t%s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', n);
    EXECUTE format('CREATE POLICY s ON t%s FOR SELECT TO app_bench USING (%s)', n, own);
    EXECUTE format('CREATE POLICY i ON t%s FOR INSERT TO app_bench WITH CHECK (%s)', n, own);
    EXECUTE format('CREATE POLICY u ON t%s FOR UPDATE TO app_bench USING (%s)', n, own);
    EXECUTE format('CREATE POLICY d ON t%s FOR DELETE TO app_bench USING (%s)', n, own);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON t%s TO app_bench', n);
  END LOOP;
END $$";

fn main() {
    let sizes: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() { vec![1000] } else { sizes };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let scratch = shadow_server::start(&Options::defaults(), &silent)
            .await
            .unwrap();
        for tables in sizes {
            measure(&scratch, tables).await;
        }
    });
}

async fn measure(scratch: &ShadowServer, tables: usize) {
    let target = scratch.database(&format!("bench_{tables}")).await.unwrap();
    let session = connect::open(&target, &silent).await.unwrap();
    // In pieces, so that the locks of one transaction have room.
    for from in (1..=tables).step_by(500) {
        let to = (from + 499).min(tables);
        let text = TABLES
            .replace("FROM_HERE", &from.to_string())
            .replace("TO_HERE", &to.to_string());
        session.run(&Sql::written_by_user(text)).await.unwrap();
    }
    let declared = Declared {
        files: vec![read_file("policies/all.yaml", DECLARED).unwrap()],
        ..Declared::default()
    };
    let scope = Scope {
        global: false,
        roles: true,
        ..Scope::of_schemas(&["public".to_owned()])
    };
    let mut best = [f64::MAX; 3];
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let catalog = read::read(&session, &scope).await.unwrap();
        let read = began.elapsed();
        let comparison = compare::compare(&session, &catalog, &declared, None)
            .await
            .unwrap();
        let compared = began.elapsed();
        assert_eq!(comparison.findings, Vec::new());
        assert_eq!(comparison.policies, 4 * tables);
        advise::advise(
            &catalog,
            &advise::PlatformObjects::default(),
            &["app_bench".to_owned()],
            Some("tenant_id"),
        );
        let advised = began.elapsed();
        for (best, took) in best.iter_mut().zip([read, compared, advised]) {
            *best = best.min(took.as_secs_f64() * 1000.0);
        }
    }
    let [read, compared, advised] = best;
    println!(
        "{tables} tables, {} policies: {compared:.0} ms to compare, {read:.0} ms of it to read; {advised:.0} ms with advice; best of {ROUNDS}",
        4 * tables
    );
}
