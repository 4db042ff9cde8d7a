//! Migrations as a user runs them: every fault named, every interruption survived, every down migration proven.

mod concurrent_runners;
mod down_migrations;
mod faults;
mod interruptions;
mod lost_commits;
mod resuming;
mod round_trips;
mod session_control;

use crate::support::project::{CommandOutput, Project};
use crate::support::server;

fn said(ran: &CommandOutput) -> Vec<String> {
    let document = ran.json();
    let findings = document["findings"].as_array().expect("findings");
    let said = findings.iter().map(|finding| {
        format!(
            "{} {}",
            finding["code"].as_str().unwrap_or("?"),
            finding["subject"].as_str().unwrap_or("?")
        )
    });
    said.collect()
}

#[tokio::test]
async fn syntax_errors_are_shown_with_their_position() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__a.sql",
        "CREATE TABLE a (id int nott null);\n",
    );
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @r#"
    error: migrations/V1__a.sql was rolled back; nothing was applied: syntax error at or near "nott" (SQLSTATE 42601)
      at migrations/V1__a.sql:1:24, statement 1
    1 | CREATE TABLE a (id int nott null);
      |                        ^
    hint: fix migrations/V1__a.sql and run af-db up again
    status 2
    "#);
    project.write(
        "migrations/V1__a.sql",
        "-- af-db: no-transaction\nCREATE TABLE b (id int);\nVACUUM b;\nCREATE TABLE a (id int nott null);\n",
    );
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @r#"
    error: stopped in migrations/V1__a.sql after 2 statements: syntax error at or near "nott" (SQLSTATE 42601)
      at migrations/V1__a.sql:4:24, statement 3
    4 | CREATE TABLE a (id int nott null);
      |                        ^
    hint: fix the cause and run af-db up again to continue after the completed statements, which must stay unchanged in migrations/V1__a.sql; or undo the completed statements: af-db up --abort
    status 3
    "#);
}

#[tokio::test]
async fn up_applies_and_status_reports() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__a.sql",
        "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n",
    );
    project.write("migrations/V2__b.sql", "CREATE TABLE b (id int);");
    project.write("migrations/V2__b.down.sql", "DROP TABLE b;");
    insta::assert_snapshot!(project.run(&["status", "--check"]).await.seen(), @"
    postgres@HOST:PORT/DATABASE (local, PostgreSQL VERSION)

       1  pending  a
       2  pending  b

    0 migrations are applied, 2 pending
    status 1
    ");
    insta::assert_snapshot!(project.run(&["up", "--steps", "1"]).await.seen(), @"
    applied 1 migration to postgres@HOST:PORT/DATABASE, 1 still pending
    applied migrations/V1__a.sql (2 statements, N ms)
    status 0
    ");
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @"
    applied 1 migration to postgres@HOST:PORT/DATABASE
    applied migrations/V2__b.sql (1 statement, N ms)
    status 0
    ");
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @"
    nothing to apply, postgres@HOST:PORT/DATABASE is up to date
    status 0
    ");
    project.run(&["status", "--check"]).await.ok();
    insta::assert_snapshot!(project.run(&["down"]).await.seen(), @"
    PostgreSQL VERSION
    1 migration will be reverted:
      migrations/V2__b.sql
    Services built with these migrations will reapply them at start-up.
    error: confirmation needed, but there is no terminal; nothing was changed: Revert on postgres@HOST:PORT/DATABASE?
    hint: Confirm with --yes
    status 4
    ");
    project.run(&["down", "--yes"]).await.ok();
    assert_eq!(database.one("SELECT to_regclass('b') IS NULL").await, "t");
    project.run(&["history", "--verify"]).await.ok();
}

#[tokio::test]
async fn an_error_names_statement_line_and_column_and_leaves_nothing() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__a.sql",
        "CREATE TABLE a (id int PRIMARY KEY);",
    );
    project.write(
        "migrations/V2__b.sql",
        "-- größe\nINSERT INTO a VALUES (1);\n\nINSERT INTO a VALUES (1);\n",
    );
    project.write("migrations/V3__c.sql", "SELECT 1;\nSELECT nope FROM a;\n");
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @r#"
    applied migrations/V1__a.sql (1 statement, N ms)
    error: migrations/V2__b.sql was rolled back; 1 of 3 migrations applied: duplicate key value violates unique constraint "a_pkey" (SQLSTATE 23505)
      detail: Key (id)=(1) already exists.
      at migrations/V2__b.sql:4:1, statement 2
    4 | INSERT INTO a VALUES (1);
      | ^
    hint: fix migrations/V2__b.sql and run af-db up again
    status 3
    "#);
    assert_eq!(database.one("SELECT count(*) FROM a").await, "0");
    project.write("migrations/V2__b.sql", "INSERT INTO a VALUES (1);");
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @r#"
    applied migrations/V2__b.sql (1 statement, N ms)
    error: migrations/V3__c.sql was rolled back; 1 of 2 migrations applied: column "nope" does not exist (SQLSTATE 42703)
      at migrations/V3__c.sql:2:8, statement 2
    2 | SELECT nope FROM a;
      |        ^
    hint: fix migrations/V3__c.sql and run af-db up again
    status 3
    "#);
    assert_eq!(
        database
            .one("SELECT count(*) FROM refinery_schema_history")
            .await,
        "2"
    );
}

#[tokio::test]
async fn ten_planted_faults_are_ten_findings_in_one_run() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    for (version, name) in [(1, "a"), (2, "b"), (3, "c"), (5, "e"), (6, "f")] {
        project.write(
            &format!("migrations/V{version}__{name}.sql"),
            format!("SELECT {version};\n"),
        );
    }
    project.run(&["up"]).await.ok();
    project.write("migrations/V1__a.sql", "SELECT 'edited';\n");
    project.write("migrations/V2__b.sql", "SELECT 2;\r\n");
    std::fs::remove_file(project.folder.path().join("migrations/V3__c.sql")).unwrap();
    project.write("migrations/V4__late.sql", "SELECT 4;");
    project.write("migrations/V5__twin.sql", "SELECT 5;");
    project.write("migrations/V8__has-hyphen.sql", "SELECT 8;");
    project.write("migrations/V9__wide.sql", "SELECT 9;");
    std::fs::rename(
        project.folder.path().join("migrations/V9__wide.sql"),
        project
            .folder
            .path()
            .join("migrations/V20260101000000__wide.sql"),
    )
    .unwrap();
    let width = "CREATE INDEX CONCURRENTLY i ON nowhere (id);";
    project.write(
        "migrations/V7__half.sql",
        format!("-- af-db: no-transaction\nSELECT 7;\n{width}\n"),
    );
    database
        .run("UPDATE refinery_schema_history SET checksum = 'garbage' WHERE version = 6")
        .await;
    database
        .run("INSERT INTO refinery_schema_history VALUES (2147483647, 'ahead', '2026-01-01T00:00:00Z', '1')")
        .await;
    let ran = project.run(&["status", "--json"]).await;
    insta::assert_snapshot!(said(&ran).join("\n"), @"
    migration-line-endings migrations/V2__b.sql
    migration-name migrations/V8__has-hyphen.sql
    migration-duplicate migrations/V5__twin.sql
    history-edited migration 1
    history-line-endings migration 2
    history-file-missing migration 3
    history-edited migration 6
    history-row migration 6
    history-file-missing migration 2147483647
    history-out-of-order migration 4
    history-out-of-order migration 7
    history-width migration 20260101000000
    ");
    let refused = project.run(&["up", "--json"]).await;
    assert_eq!(refused.status, 4, "{}", refused.seen());
}

#[tokio::test]
async fn what_cannot_run_is_refused_before_anything_runs() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write("migrations/V1__a.sql", "CREATE TABLE a (id int);");
    project.write(
        "migrations/V2__b.sql",
        "CREATE INDEX CONCURRENTLY i ON a (id);",
    );
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @"
    error[migration-transaction]: migrations/V2__b.sql: cannot run inside a transaction block: CREATE INDEX CONCURRENTLY commits several times
      at migrations/V2__b.sql:1:1
      help: Begin the file with `-- af-db: no-transaction`, preferably with this statement only

    1 error

    error: 1 error; nothing was applied
    status 4
    ");
    assert_eq!(database.one("SELECT to_regclass('a') IS NULL").await, "t");
}

#[tokio::test]
async fn a_files_settings_do_not_reach_the_next() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__a.sql",
        "CREATE SCHEMA other; SET search_path = other; SET session_replication_role = replica; SET TimeZone = 'Asia/Tokyo'; \
         SELECT pg_catalog.set_config('search_path', '', false);",
    );
    project.write("migrations/V2__b.sql", "CREATE TABLE b AS SELECT current_setting('TimeZone') AS zone, current_setting('session_replication_role') AS role;");
    project.write(
        "migrations/V3__c.sql",
        "-- af-db: no-transaction\nSET search_path = other;\nCREATE TABLE c (id int);\n",
    );
    project.write("migrations/V4__d.sql", "CREATE TABLE d (id int);");
    project.run(&["up"]).await.ok();
    assert_eq!(
        database.rows("SELECT * FROM public.b").await,
        [["UTC", "origin"]]
    );
    assert_eq!(
        database
            .one(
                "SELECT to_regclass('other.c') IS NOT NULL AND to_regclass('public.d') IS NOT NULL"
            )
            .await,
        "t"
    );
}

#[tokio::test]
async fn data_as_pg_dump_writes_it_is_loaded() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__a.sql",
        "CREATE TABLE a (id int, word text);\nCOPY public.a (id, word) FROM stdin;\n1\tone; two\n2\t\\N\n\\.\n\nINSERT INTO a VALUES (3, 'x');\n",
    );
    project.run(&["up"]).await.ok();
    assert_eq!(
        database.rows("SELECT * FROM a ORDER BY id").await,
        [["1", "one; two"], ["2", "∅"], ["3", "x"]]
    );
}

#[tokio::test]
async fn a_protected_environment_needs_confirmation() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    let host = &database.target.hosts[0];
    let url = format!(
        "host='{}' port={} user=postgres dbname={}",
        host.name, host.port, database.name
    );
    project.write(
        "af-db.yaml",
        format!("environments:\n  production: {{ url: \"{url}\", protected: true }}\n"),
    );
    project.write("migrations/V1__a.sql", "SELECT 1;");
    // Reached through DATABASE_URL, and guarded all the same; --yes is not enough.
    let ran = project.run(&["up", "--yes"]).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    insta::assert_snapshot!(ran.seen(), @"
    error: confirmation needed, but there is no terminal; nothing was changed: 1 migration will be applied on postgres@HOST:PORT/DATABASE, environment `production`
    hint: Run this in a terminal; without a terminal, use an approved plan: af-db plan --out plan.json, then af-db up --plan plan.json --approve sha256:…
    status 4
    ");
}

#[tokio::test]
async fn history_and_journal_can_be_repaired() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write("migrations/V1__a.sql", "SELECT 1;");
    project.run(&["up"]).await.ok();
    project.write("migrations/V1__a.sql", "SELECT 'other';");
    assert_eq!(project.run(&["up"]).await.status, 4);
    insta::assert_snapshot!(project.run(&["repair", "--checksum", "1"]).await.seen(), @"
    checksum of migration 1 updated to match the file
    status 0
    ");
    project.run(&["status", "--check"]).await.ok();
    project.write("migrations/V2__b.sql", "CREATE TABLE b (id int);");
    project.run(&["repair", "--mark-applied", "2"]).await.ok();
    project.run(&["status", "--check"]).await.ok();
    project.run(&["repair", "--mark-unapplied", "2"]).await.ok();
    project.run(&["up"]).await.ok();
    project.write("migrations/V2__twin.sql", "SELECT 2;");
    project
        .run(&["repair", "--renumber", "migrations/V2__twin.sql"])
        .await
        .ok();
    assert!(
        project
            .folder
            .path()
            .join("migrations/V3__twin.sql")
            .is_file()
    );
}

#[tokio::test]
async fn a_journal_that_was_tampered_with_is_found() {
    for tampering in [
        "UPDATE af_db.journal SET actor = 'nobody' WHERE id = 2",
        "DELETE FROM af_db.journal WHERE id = 2",
        "DELETE FROM af_db.journal WHERE id = 3",
        "INSERT INTO af_db.journal SELECT 4, run, version, name, state, statement, up_sha256, down_sha256, plan_sha256, actor, role, host, git_commit, tool, started, at, lock_waits, lsn, error, note, previous, hash FROM af_db.journal WHERE id = 3",
    ] {
        let database = server::database().await;
        let project = Project::of(&database.target);
        for version in 1..=3 {
            project.write(
                &format!("migrations/V{version}__a.sql"),
                format!("SELECT {version};"),
            );
        }
        project.run(&["up"]).await.ok();
        project.run(&["history", "--verify"]).await.ok();
        let append_only = database.session().await;
        let refused = append_only
            .run(&af_db::sql::safe::Sql::written_by_user(tampering))
            .await;
        assert_eq!(
            refused.is_err(),
            !tampering.starts_with("INSERT"),
            "{tampering}"
        );
        if refused.is_err() {
            // What privileges and triggers refuse, the server's superuser can still force.
            let force = format!("ALTER TABLE af_db.journal DISABLE TRIGGER USER; {tampering}");
            database.run(&force).await;
        }
        let ran = project.run(&["history", "--verify"]).await;
        assert_eq!(ran.status, 1, "{tampering}: {}", ran.seen());
    }
}

#[tokio::test]
async fn our_comparison_agrees_with_refinery() {
    use af_db::migrate::checksum::{self, Width};
    use af_db::migrate::history::{History, HistoryRow, HistoryTable};
    use af_db::migrate::{files, refinery, status};
    use af_db::sql::name::ObjectName;
    let folder = tempfile::tempdir().unwrap();
    for version in [1, 2, 3, 4] {
        std::fs::write(
            folder.path().join(format!("V{version}__m.sql")),
            format!("SELECT {version};"),
        )
        .unwrap();
    }
    let listed = files::list(folder.path(), "migrations").unwrap();
    let row = |version: i64, text: &str| HistoryRow {
        version,
        name: "m".to_owned(),
        applied_on: "2026-01-01T00:00:00Z".to_owned(),
        checksum: checksum::refinery("m", version, text, Width::Int8).to_string(),
    };
    // Every subset of applied versions, each once as it is and once with its first row edited.
    for subset in 0..32_u32 {
        for edited in [false, true] {
            let mut rows: Vec<HistoryRow> = (1..=5)
                .filter(|version| subset & (1 << (version - 1)) != 0)
                .map(|version| row(version, &format!("SELECT {version};")))
                .collect();
            if edited && let Some(first) = rows.first_mut() {
                *first = row(first.version, "edited");
            }
            let name = ObjectName::new("public", "refinery_schema_history");
            let history = History {
                name,
                table: HistoryTable::Present(Width::Int8),
                has_journal: false,
                mark: af_db::migrate::history::JournalMark::Absent,
                rows: rows.clone(),
            };
            let ours = status::compare(&listed, &history, &[], Width::Int8);
            let theirs = refinery::verdict(&listed.migrations, &rows).await;
            assert_eq!(
                ours.findings.is_empty(),
                theirs.is_ok(),
                "{subset:05b} {edited}: {theirs:?}"
            );
            if let Ok(theirs) = theirs {
                assert_eq!(ours.pending, theirs, "{subset:05b} {edited}");
            }
        }
    }
}

#[tokio::test]
async fn the_reference_project_goes_up_and_all_the_way_down() {
    let server = server::own(None).await;
    let database = server.database().await;
    let project = Project::of(&database.target);
    project.copy("migrations");
    project.run(&["up", "-q"]).await.ok();
    project.run(&["up", "-q"]).await.ok();
    project.run(&["status", "--check"]).await.ok();
    project
        .run(&["down", "--to", "0", "--yes", "-q"])
        .await
        .ok();
    assert_eq!(database.one("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'").await, "1");
}

#[tokio::test]
async fn without_a_database_new_files_are_written() {
    let project = Project::without_database();
    insta::assert_snapshot!(project.run(&["new", "Add tenant"]).await.seen(), @"
    migrations/V1__add_tenant.sql
    migrations/V1__add_tenant.down.sql
    status 0
    ");
    insta::assert_snapshot!(project.run(&["new", "second"]).await.seen(), @"
    migrations/V2__second.sql
    migrations/V2__second.down.sql
    status 0
    ");
}

#[tokio::test]
async fn a_fresh_project_validates_clean_and_goes_up_at_once() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    insta::assert_snapshot!(project.run(&["init"]).await.seen(), @"
    wrote af-db.yaml
    wrote migrations/V1__tenants.sql
    wrote migrations/V1__tenants.down.sql
    wrote .gitignore

    next: af-db up
    status 0
    ");
    project.run(&["validate", "--shadow"]).await.ok();
    project.run(&["up"]).await.ok();
    let judged = project.run(&["validate", "--json"]).await.ok();
    // What the down migration loses is all there is to say.
    assert_eq!(said(&judged), ["D01 tenants"]);
    insta::assert_snapshot!(project.run(&["init"]).await.seen(), @"
    error: af-db.yaml already exists; nothing was written
    hint: Run af-db up, or run af-db init in another directory
    status 4
    ");
}

#[tokio::test]
async fn without_the_plan_that_is_asked_for_nothing_runs() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "af-db.yaml",
        "environments:\n  local: { require: [approved-plan] }\n",
    );
    project.write("migrations/V1__a.sql", "CREATE TABLE a (id int);");
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @"
    error: environment `local` requires an approved plan; nothing was changed
    hint: Save a plan with af-db plan --out plan.json, have it approved, then run af-db up --plan plan.json
    status 4
    ");
    assert_eq!(database.one("SELECT to_regclass('a') IS NULL").await, "t");
}
