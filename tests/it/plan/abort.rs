//! A run that was stopped half-way and is not to continue: what it left behind is undone, or an operator is told what is left.

use crate::support::project::Project;
use crate::support::server::{self, Database};

const TABLE: &str = "CREATE TABLE a (id int PRIMARY KEY, note text);
INSERT INTO a VALUES (1, 'x'), (2, 'x');
";

/// The second cannot be built on the table's rows.
const INDEXES: &str = "CREATE INDEX CONCURRENTLY a_id ON a (id);
CREATE UNIQUE INDEX CONCURRENTLY a_note ON a (note);
";

/// Applies a table, and stops in a file without a transaction, whose last statement cannot succeed.
async fn stopped(database: &Database, text: &str) -> Project {
    let project = Project::of(&database.target);
    project.write("migrations/V1__a.sql", TABLE);
    project.run(&["up"]).await.ok();
    let text = format!("-- af-db: no-transaction\n{text}");
    project.write("migrations/V2__b.sql", text);
    let ran = project.run(&["up"]).await;
    assert_ne!(ran.status, 0, "{}", ran.seen());
    project
}

async fn indexes(database: &Database) -> String {
    let sql = "SELECT coalesce(string_agg(indexrelid::regclass::text, ',' ORDER BY indexrelid::regclass::text), '') FROM pg_index \
               WHERE indrelid = 'a'::regclass";
    database.one(sql).await
}

#[tokio::test]
async fn indexes_are_dropped_and_the_migration_is_pending_again() {
    let database = server::database().await;
    let text = format!("SET search_path = public;\n{INDEXES}");
    let project = stopped(&database, &text).await;
    assert_eq!(indexes(&database).await, "a_id,a_note,a_pkey");
    insta::assert_snapshot!(project.run(&["up", "--abort"]).await.seen(), @"
    dropped index public.a_note, which is invalid
    dropped index public.a_id
    migrations/V2__b.sql is fully undone and pending again
    status 0
    ");
    assert_eq!(indexes(&database).await, "a_pkey");
    insta::assert_snapshot!(project.run(&["up", "--abort"]).await.seen(), @"
    nothing to undo, no migration is partially applied in postgres@HOST:PORT/DATABASE
    status 0
    ");
    database.run("DELETE FROM a WHERE id = 2").await;
    project.run(&["up"]).await.ok();
    assert_eq!(indexes(&database).await, "a_id,a_note,a_pkey");
    project.run(&["history", "--verify"]).await.ok();
}

#[tokio::test]
async fn an_invalid_index_of_the_first_statement_is_dropped() {
    let database = server::database().await;
    let project = stopped(
        &database,
        "CREATE UNIQUE INDEX CONCURRENTLY a_note ON a (note);\n",
    )
    .await;
    assert_eq!(indexes(&database).await, "a_note,a_pkey");
    insta::assert_snapshot!(project.run(&["up", "--abort"]).await.seen(), @"
    dropped index public.a_note, which is invalid
    migrations/V2__b.sql is fully undone and pending again
    status 0
    ");
    assert_eq!(indexes(&database).await, "a_pkey");
}

#[tokio::test]
async fn statements_that_must_be_undone_by_hand_are_reported() {
    let database = server::database().await;
    let project = stopped(
        &database,
        "UPDATE a SET note = 'y' WHERE id = 2;
UPDATE a SET note = 'x'
WHERE id = 2;
CREATE INDEX CONCURRENTLY a_id ON a (id);
CREATE UNIQUE INDEX CONCURRENTLY a_note ON a (note);
",
    )
    .await;
    insta::assert_snapshot!(project.run(&["up", "--abort"]).await.seen(), @"
    dropped index public.a_note, which is invalid
    dropped index public.a_id
    migrations/V2__b.sql is still partially applied: statements 1 to 2

    error[half-run-left]: migrations/V2__b.sql: line 3, `UPDATE a SET note = 'x'`: it must be undone by hand
      help: Continue with af-db up, or undo it by hand and record that: af-db repair --resume 2 --as undone

    1 error
    status 3
    ");
    assert_eq!(indexes(&database).await, "a_pkey");
    project
        .run(&["repair", "--resume", "2", "--as", "undone"])
        .await
        .ok();
    insta::assert_snapshot!(project.run(&["up", "--abort"]).await.seen(), @"
    nothing to undo, no migration is partially applied in postgres@HOST:PORT/DATABASE
    status 0
    ");
}

#[tokio::test]
async fn abort_of_changed_files_is_refused() {
    let database = server::database().await;
    let project = stopped(&database, INDEXES).await;
    project.write(
        "migrations/V2__b.sql",
        "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY other ON a (id);\n",
    );
    insta::assert_snapshot!(project.run(&["up", "--abort"]).await.seen(), @"
    error: migrations/V2__b.sql was modified after it was partially applied. Nothing was undone.
    hint: Restore the file from version control: the statements to undo are read from it
    status 4
    ");
    std::fs::remove_file(project.folder.path().join("migrations/V2__b.sql")).expect("removed");
    insta::assert_snapshot!(project.run(&["up", "--abort"]).await.seen(), @"
    error: migration 2 is partially applied and its file is missing. Nothing was undone.
    hint: Restore the file from version control: the statements to undo are read from it
    status 2
    ");
    assert_eq!(indexes(&database).await, "a_id,a_note,a_pkey");
}

#[tokio::test]
async fn a_guarded_environment_asks_first() {
    let database = server::database().await;
    let project = stopped(&database, INDEXES).await;
    project.write("migrations/V1__a.down.sql", "DROP TABLE a;\n");
    super::configure(&project, "protected: true");
    let abort = ["up", "--env", "production", "--abort", "--yes"];
    insta::assert_snapshot!(project.run(&abort).await.seen(), @"
    error: confirmation needed, but there is no terminal; nothing was changed: undo migrations/V2__b.sql on postgres@HOST:PORT/DATABASE, environment `production`
    hint: Run this in a terminal; without a terminal, use an approved plan: af-db plan --out plan.json, then af-db up --plan plan.json --approve sha256:…
    status 4
    ");
    super::configure(
        &project,
        "protected: true, require: [verified-backup-within 24h]",
    );
    for arguments in [
        vec!["up", "--env", "production", "--abort"],
        vec!["down", "--env", "production"],
        vec!["repair", "--env", "production", "--mark-unapplied", "1"],
    ] {
        let ran = project.run(&arguments).await;
        assert_eq!(ran.status, 4, "{}", ran.seen());
        assert!(
            ran.stderr.contains("requires a recent verified backup"),
            "{}",
            ran.seen()
        );
    }
    assert_eq!(indexes(&database).await, "a_id,a_note,a_pkey");
}

#[tokio::test]
async fn policies_are_applied_to_a_guarded_environment_with_backup_and_word_only() {
    let database = server::database().await;
    let project = super::project(&database.target, "protected: true").await;
    project.write(
        "policies/notes.sql",
        "ALTER TABLE a ENABLE ROW LEVEL SECURITY;\nCREATE POLICY own ON a USING (note = current_user);\n",
    );
    let apply = ["diff-rls", "--apply", "--env", "production", "--yes"];
    insta::assert_snapshot!(project.run(&apply).await.seen(), @"
    error: confirmation needed, but there is no terminal; nothing was changed: 2 statements will be run in one transaction on postgres@HOST:PORT/DATABASE, environment `production`
    hint: Run this in a terminal; or write the change as a migration and get its plan approved: af-db diff-rls --write-migration, then af-db plan --out plan.json
    status 4
    ");
    // Its address is enough, however it was given.
    let database_url = ["diff-rls", "--apply", "--yes"];
    let ran = project.run(&database_url).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    super::configure(
        &project,
        "protected: true, require: [verified-backup-within 24h]",
    );
    let ran = project.run(&apply).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert!(
        ran.stderr.contains("requires a recent verified backup"),
        "{}",
        ran.seen()
    );
    assert_eq!(
        database
            .one("SELECT relrowsecurity::text FROM pg_class WHERE relname = 'a'")
            .await,
        "false"
    );
    assert_eq!(
        database.one("SELECT count(*)::text FROM pg_policies").await,
        "0"
    );
}
