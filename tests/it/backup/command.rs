//! Backup and restore from the command line: hooks, the history as a destination, and what a person reads who errs.

use crate::support::project::{CommandOutput, Project};
use crate::support::server::{self, Database};

async fn project() -> (Database, Project) {
    let database = server::database().await;
    let project = Project::of(&database.target);
    (database, project)
}

/// Returns the output without progress and without what differs between runs.
fn refused(ran: &CommandOutput, status: i32) -> String {
    assert_eq!(ran.status, status, "{}", ran.seen());
    let from = ran.stderr.find("error: ").unwrap_or_default();
    super::without_age(&archives(ran.stderr[from..].trim_end()))
}

/// Replaces the time in an archive's name.
fn archives(text: &str) -> String {
    let words = text.split('\n').map(|line| {
        let words = line
            .split(' ')
            .map(|word| match word.split_once("DATABASE-2") {
                Some((before, _)) => format!("{before}ARCHIVE"),
                None => word.to_owned(),
            });
        words.collect::<Vec<_>>().join(" ")
    });
    words.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn hooks_run_before_and_after_and_their_failure_counts() {
    let (database, project) = project().await;
    let settings = |before: &str, after: &str| {
        format!(
            "backup:\n  hooks:\n    before-backup: ['{before}']\n    after-backup: ['{after}']\n    before-restore: ['exit 0']\n    \
             after-restore: ['echo \"$AF_DB_ARCHIVE $AF_DB_DATABASE\" > restored']\n    timeout: 60s\n"
        )
    };
    let file = |name: &str| std::fs::read_to_string(project.folder.path().join(name));

    project.write(
        "af-db.yaml",
        settings("echo too early >&2; exit 3", "touch after"),
    );
    let ran = project.run(&["backup"]).await;
    insta::assert_snapshot!(refused(&ran, 4), @"
    error: `echo too early >&2; exit 3` of backup.hooks.before-backup failed (exit status: 3): too early; nothing was done
    hint: Fix the hook, or remove it from af-db.yaml
    ");
    assert!(file("after").is_err());

    let hasty = settings("sleep 30", "touch after").replace("60s", "2s");
    project.write("af-db.yaml", hasty);
    let ran = project.run(&["backup"]).await;
    insta::assert_snapshot!(refused(&ran, 4), @"
    error: `sleep 30` of backup.hooks.before-backup timed out after 2 s; nothing was done
    hint: Fix the hook, or remove it from af-db.yaml
    ");

    project.write(
        "af-db.yaml",
        settings(
            "touch before",
            "test -d \"$AF_DB_STORE/$AF_DB_ARCHIVE\" && exit 7",
        ),
    );
    let ran = project.run(&["backup"]).await;
    assert_eq!(ran.status, 1, "{}", ran.seen());
    assert!(file("before").is_ok());
    assert!(
        ran.seen().contains("failed (exit status: 7)"),
        "{}",
        ran.seen()
    );
    let listed = project.run(&["backup", "list"]).await.ok();
    assert!(listed.stdout.contains("DATABASE-2"), "{}", listed.seen());

    let into = format!("{}_hooked", database.name);
    project.run(&["restore", "--into", &into]).await.ok();
    let told = file("restored").unwrap();
    assert!(told.trim_end().ends_with(&format!(" {into}")), "{told}");
    database.run(&format!("DROP DATABASE {into}")).await;
}

#[tokio::test]
async fn to_history_and_migrate_end_at_the_requested_migration() {
    let (database, project) = project().await;
    for (version, text) in [
        (1, "CREATE TABLE one (id int);"),
        (2, "CREATE TABLE two (id int);"),
        (3, "CREATE TABLE three (id int);"),
    ] {
        project.write(&format!("migrations/V{version}__step.sql"), text);
    }
    project.run(&["up", "--to", "1"]).await.ok();
    project.run(&["backup"]).await.ok();
    project.run(&["up"]).await.ok();
    project.run(&["backup", "--to", "later"]).await.ok();

    let into = format!("{}_then", database.name);
    let restore = async |more: &[&str]| {
        let arguments = [&["restore", "--into", &into], more].concat();
        project.run(&arguments).await
    };
    let ran = restore(&["--to-history", "2"]).await;
    insta::assert_snapshot!(refused(&ran, 2), @"
    error: no backup in PROJECT/backups ends at migration 2; nothing was restored
    hint: use --migrate to restore an earlier backup and apply the missing migrations
    ");
    let ran = restore(&["--to-history", "1"]).await.ok();
    assert!(!ran.stdout.contains("on top"), "{}", ran.stdout);
    let target = database.target.with_database(&into);
    let tables = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relname IN ('one', 'two', 'three')";
    let rows = async || {
        let session = af_db::pg::connect::open(&target, &af_db::event::silent)
            .await
            .unwrap();
        let rows = server::rows(&session, tables).await;
        session.close().await;
        rows
    };
    assert_eq!(rows().await, [["one"]]);
    let drop = format!("DROP DATABASE {into}");
    database.run(&drop).await;
    let ran = restore(&["--to-history", "2", "--migrate"]).await.ok();
    assert!(
        ran.stdout.contains("applied 1 migration on top"),
        "{}",
        ran.stdout
    );
    assert_eq!(rows().await, [["one,two"].map(str::to_owned)]);
    database.run(&drop).await;
}

#[tokio::test]
async fn mistyped_arguments_are_explained() {
    let (database, project) = project().await;
    database.run("CREATE TABLE t AS SELECT 1 AS a").await;
    let said =
        async |arguments: &[&str], status: i32| refused(&project.run(arguments).await, status);
    insta::assert_snapshot!(said(&["restore"], 2).await, @"
    error: no backup of `DATABASE` in PROJECT/backups
    hint: make one with `af-db backup`; list all backups with `af-db backup list`
    ");
    insta::assert_snapshot!(said(&["backup", "--recipient", "age1nonsense"], 2).await, @"
    error: `age1nonsense` is not an age recipient: invalid Bech32 encoding
    hint: a recipient begins with age1; `age-keygen` prints one
    ");
    insta::assert_snapshot!(said(&["backup", "--table", "nothing.there"], 2).await, @"
    error: table `nothing.there` does not exist; nothing was dumped
    hint: spell names as the catalog does, tables with their schema
    ");
    insta::assert_snapshot!(said(&["backup", "--schema", "absent"], 2).await, @"
    error: schema `absent` does not exist; nothing was dumped
    hint: spell names as the catalog does, tables with their schema
    ");
    insta::assert_snapshot!(said(&["backup", "--to", "ftp://somewhere/else"], 2).await, @"
    error: unsupported store `ftp://`
    hint: use a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX; builds without object storage support folders only
    ");
    insta::assert_snapshot!(said(&["backup", "--tenant", "7"], 2).await, @"
    error: no tenant column is configured
    hint: set tenancy.column in af-db.yaml
    ");
    project.run(&["backup"]).await.ok();
    insta::assert_snapshot!(said(&["restore"], 4).await, @"
    error: database `DATABASE` is not empty (table t); nothing was restored
    hint: restore into a new database with --into, or replace this one with --swap (the old one is kept)
    ");
    insta::assert_snapshot!(said(&["restore", "nonesuch"], 2).await, @"
    error: no backup `nonesuch` in PROJECT/backups
    hint: list backups with `af-db backup list`
    ");
    insta::assert_snapshot!(said(&["restore", "--into", "template1"], 4).await, @"
    error: `template1` is a system database; nothing was restored
    hint: choose another database with --into
    ");
    insta::assert_snapshot!(said(&["restore", "--into", "x", "--identity", "nokey.txt"], 2).await, @"
    error: reading nokey.txt
    caused by: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(said(&["restore", "--into", "x", "--map-role", "nobody"], 2).await, @"
    error: `nobody` is not a role mapping
    hint: write --map-role OLD=NEW
    ");
    insta::assert_snapshot!(said(&["restore", "--into", "x", "--scratch", "/nonexistent"], 2).await, @"
    error: creating a temporary file in /nonexistent
    caused by: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(said(&["backup", "verify", "--from", "elsewhere"], 2).await, @"
    error: no backup of `DATABASE` in PROJECT/elsewhere
    hint: make one with `af-db backup`; list all backups with `af-db backup list`
    ");
    insta::assert_snapshot!(said(&["backup", "prune", "--keep", "soon"], 2).await, @"
    error: `soon` is not a retention rule
    hint: use, for example, 7d,4w,12m: the newest backup of 7 days, 4 weeks and 12 months
    ");
    insta::assert_snapshot!(said(&["restore", "--engine", "pgbackrest", "--before-lsn", "x", "--data-dir", "y"], 2).await, @"
    error: `x` is not an LSN
    hint: an LSN looks like 0/AD650C0; or name a run with --before-run
    ");
    // Others restore on this server, too.
    let left = format!(
        "SELECT count(*) FROM pg_database WHERE datname = 'x' OR starts_with(datname, 'x_restoring') OR starts_with(datname, '{}_restoring')",
        database.name
    );
    let left = database.one(&left).await;
    assert_eq!(left, "0");
    assert_eq!(database.one("SELECT count(*) FROM t").await, "1");
}

#[tokio::test]
async fn json_is_one_document_in_every_outcome() {
    let (database, project) = project().await;
    database.run("CREATE TABLE t AS SELECT 1 AS a").await;
    let made = project.run(&["backup", "--json"]).await.ok().json();
    assert_eq!(made["archive"]["totals"]["rows"], 1);
    let drilled = project
        .run(&["restore", "--drill", "--json"])
        .await
        .ok()
        .json();
    assert_eq!(drilled["drill"], true);
    assert!(drilled["milliseconds"]["total"].as_u64().is_some());
    let refused = project.run(&["restore", "--json"]).await;
    assert_eq!(refused.status, 4);
    assert!(
        refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("is not empty"),
        "{}",
        refused.stdout
    );
}

#[tokio::test]
async fn a_drill_probes_tenant_isolation_and_checks_recovery_targets() {
    let server = server::own(None).await;
    let database = server.database().await;
    let project = Project::of(&database.target);
    database
        .run(
            "CREATE ROLE drill_app; CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text); \
             INSERT INTO notes SELECT n, n % 3 + 1, 'note ' || n FROM generate_series(1, 10) AS n; \
             GRANT SELECT ON notes TO drill_app; ALTER TABLE notes ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY own ON notes TO drill_app USING (tenant_id = current_setting('app.tenant_id', true)::int)",
        )
        .await;
    let settings = |point: &str, tenants: &str| {
        format!(
            "recovery: {{ time: 1h, point: {point} }}\ntenancy:\n  column: tenant_id\n  model: session_guc\n  \
             identity: {{ role: drill_app, guc: app.tenant_id }}\n{tenants}"
        )
    };
    project.run(&["backup"]).await.ok();
    // Those that are named, where they have rows; else those that have the most.
    for (named, who) in [
        ("  tenants: { a: \"2\", b: \"3\" }\n", "`2` and `3`"),
        ("  tenants: { a: \"70\", b: \"80\" }\n", "`1` and `2`"),
        ("", "`1` and `2`"),
    ] {
        project.write("af-db.yaml", settings("24h", named));
        let ran = project.run(&["restore", "--drill"]).await.ok();
        let read = format!("tenant isolation, as the tenants {who}: 0 leaks, ");
        assert!(!ran.stdout.contains(", 0 passed,"), "{}", ran.seen());
        assert!(ran.stdout.contains(&read), "{}", ran.seen());
    }
    project.write("af-db.yaml", settings("24h", ""));
    let metrics = ["restore", "--drill", "--metrics-file", "drill.prom"];
    let ran = project.run(&metrics).await.ok();
    assert!(
        ran.stdout
            .contains("tenant isolation, as the tenants `1` and `2`: 0 leaks, "),
        "{}",
        ran.seen()
    );
    let told = std::fs::read_to_string(project.folder.path().join("drill.prom")).unwrap();
    for metric in [
        "af_db_restore_phase_seconds{command=\"restore\"",
        "phase=\"total\"} ",
        "af_db_restore_target_seconds{",
        "af_db_restore_rows{",
    ] {
        assert!(told.contains(metric), "{told}");
    }

    project.write("af-db.yaml", settings("0s", ""));
    let ran = project.run(&metrics).await;
    assert_eq!(ran.status, 1, "{}", ran.seen());
    assert!(
        ran.stderr.contains("[drill-point]") || ran.stdout.contains("[drill-point]"),
        "{}",
        ran.seen()
    );

    project.write("af-db.yaml", settings("24h", ""));
    database
        .run("CREATE POLICY open ON notes TO drill_app USING (true)")
        .await;
    project.run(&["backup"]).await.ok();
    let ran = project.run(&metrics).await;
    assert_eq!(ran.status, 1, "{}", ran.seen());
    assert!(
        ran.seen().contains("public.notes: select as drill_app"),
        "{}",
        ran.seen()
    );
}

#[tokio::test]
async fn the_history_may_have_another_name() {
    let (database, project) = project().await;
    project.write(
        "af-db.yaml",
        "migrations: { history-table: public.books }\n",
    );
    project.write("migrations/V1__one.sql", "CREATE TABLE one (id int);");
    project.write("migrations/V2__two.sql", "CREATE TABLE two (id int);");
    project.run(&["up", "--to", "1"]).await.ok();
    project.run(&["backup"]).await.ok();
    project.run(&["up"]).await.ok();
    let into = format!("{}_then", database.name);
    let restore = ["restore", "--into", &into, "--to-history", "2", "--migrate"];
    let ran = project.run(&restore).await.ok();
    assert!(
        ran.stdout.contains("applied 1 migration on top"),
        "{}",
        ran.seen()
    );
    database.run(&format!("DROP DATABASE {into}")).await;
}

#[tokio::test]
async fn swap_checks_the_guards_of_the_environment() {
    let (database, project) = project().await;
    let environment = |more: &str| {
        format!("environments:\n  staging: {{ url: \"${{DATABASE_URL}}\", {more} }}\n")
    };
    project.write(
        "af-db.yaml",
        environment("require: [verified-backup-within 24h]"),
    );
    database.run("CREATE TABLE kept AS SELECT 1 AS a").await;
    project.run(&["backup", "--env", "staging"]).await.ok();
    let swap = ["restore", "--env", "staging", "--swap", "--yes"];
    let ran = project.run(&swap).await;
    insta::assert_snapshot!(refused(&ran, 4), @"error: environment `staging` requires a recent verified backup; nothing was changed");
    let names =
        "SELECT count(*) FROM pg_database WHERE starts_with(datname, current_database() || '_')";
    assert_eq!(database.one(names).await, "0");

    // Beside it nothing is taken away; and what was restore-tested is a proven backup.
    let into = format!("{}_beside", database.name);
    project
        .run(&["restore", "--env", "staging", "--into", &into])
        .await
        .ok();
    database.run(&format!("DROP DATABASE {into}")).await;
    project.write(
        "af-db.yaml",
        environment("protected: true, require: [verified-backup-within 24h]"),
    );
    let ran = project.run(&swap).await;
    insta::assert_snapshot!(refused(&ran, 4), @"
    error: confirmation needed, but there is no terminal; nothing was changed: replace database `DATABASE` with backup ARCHIVE (AGE old) and keep the current one under another name on postgres@HOST:PORT/DATABASE, environment `staging`
    hint: Run this in a terminal; to test the backup without changing this server: af-db restore --drill
    ");
    assert_eq!(database.one(names).await, "0");
    // What was protected stays guarded until a person lifts it.
    project.write("af-db.yaml", environment("protected: false"));
    let ran = project.run(&swap).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    let words = format!("unprotect staging/{}\n", database.name);
    let lift = ["repair", "--env", "staging", "--unprotect"];
    project.run_on_terminal(&lift, &[&words]).await.ok();
    let ran = project.run(&swap).await.ok();
    assert!(ran.stdout.contains("is kept as"), "{}", ran.seen());
    assert_eq!(database.one(names).await, "1");
}

#[tokio::test]
async fn a_profile_is_one_of_three() {
    let (_database, project) = project().await;
    project.run(&["backup"]).await.ok();
    let ran = project.run(&["restore", "--profile", "supabase"]).await;
    assert_eq!(ran.status, 2, "{}", ran.seen());
    assert!(
        ran.stderr.contains("plain, supabase-project, app-schemas"),
        "{}",
        ran.seen()
    );
    let project_profile = ["restore", "--profile", "supabase-project", "--yes"];
    let ran = project.run(&project_profile).await;
    insta::assert_snapshot!(refused(&ran, 4), @"
    error: database `DATABASE` has no Supabase platform to restore the project into; nothing was restored
    hint: use the database of a new project, or create a new database with --profile plain
    ");
}

#[tokio::test]
async fn a_renamed_archive_is_listed_by_its_folder() {
    let (_database, project) = project().await;
    project.run(&["backup"]).await.ok();
    let store = project.folder.path().join("backups");
    let made = std::fs::read_dir(&store).unwrap().next().unwrap().unwrap();
    std::fs::rename(made.path(), store.join("before the move")).unwrap();
    let listed = project.run(&["backup", "list"]).await.ok();
    assert!(
        listed.stdout.starts_with("before the move "),
        "{}",
        listed.seen()
    );
    let verify = ["backup", "verify", "before the move"];
    project.run(&verify).await.ok();
}
