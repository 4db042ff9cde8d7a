//! The journal can be trusted alone: whatever is changed in it is found, and nothing honest is taken for a change.

use crate::support::project::Project;
use crate::support::server::{self, Database};

async fn verify(project: &Project, more: &[&str]) -> crate::support::project::CommandOutput {
    let arguments = [&["history", "--verify"], more].concat();
    project.run(&arguments).await
}

/// A project of five migrations that are applied.
async fn applied() -> (Database, Project) {
    let database = server::database().await;
    let project = Project::of(&database.target);
    for version in 1..=5 {
        let table = format!("CREATE TABLE t{version} (a int);");
        project.write(&format!("migrations/V{version}__t.sql"), table);
        let down = format!("DROP TABLE t{version};");
        project.write(&format!("migrations/V{version}__t.down.sql"), down);
    }
    project.run(&["up", "--yes"]).await.ok();
    (database, project)
}

/// The hash of a row, as af-db computes it, so that a tail can be rewritten well.
const REHASH: &str = "CREATE FUNCTION pg_temp.rehash() RETURNS void LANGUAGE plpgsql AS $$
DECLARE r record; last text := '';
BEGIN
  FOR r IN SELECT id FROM af_db.journal ORDER BY id LOOP
    UPDATE af_db.journal AS v SET previous = last WHERE v.id = r.id;
    UPDATE af_db.journal AS v SET hash = encode(sha256(convert_to(jsonb_build_array(v.id, v.run, v.version, v.name, v.state,
      v.statement, v.up_sha256, v.down_sha256, v.plan_sha256, v.actor, v.role, v.host, v.git_commit, v.tool,
      extract('epoch' FROM v.started), extract('epoch' FROM v.at), v.lock_waits, v.lsn, v.error, v.note, v.previous)::text, 'UTF8')), 'hex')
      WHERE v.id = r.id RETURNING v.hash INTO last;
  END LOOP;
  UPDATE af_db.journal_head SET id = (SELECT coalesce(max(id), 0) FROM af_db.journal), hash = last;
END $$;";

/// What somebody with all rights does to the journal, and the finding that tells.
const TAMPERS: [(&str, &str); 22] = [
    (
        "DELETE FROM af_db.journal WHERE id > 3; UPDATE af_db.journal_head SET id = 3",
        "journal-replaced",
    ),
    ("DELETE FROM af_db.journal WHERE id > 3", "journal-removed"),
    (
        "UPDATE af_db.journal SET actor = 'nobody' WHERE id = (SELECT max(id) FROM af_db.journal)",
        "journal-altered",
    ),
    (
        "UPDATE af_db.journal SET actor = 'nobody' WHERE id = 2",
        "journal-altered",
    ),
    (
        "CREATE TEMP TABLE h AS SELECT * FROM af_db.journal_head; UPDATE af_db.journal SET actor = 'nobody' WHERE id = (SELECT max(id) FROM af_db.journal); SELECT pg_temp.rehash(); UPDATE af_db.journal_head SET hash = h.hash FROM h",
        "journal-replaced",
    ),
    (
        "DELETE FROM af_db.journal WHERE version >= 4; DELETE FROM af_db.journal WHERE id > 3; SELECT pg_temp.rehash()",
        "journal-unrecorded",
    ),
    (
        "DELETE FROM af_db.journal; UPDATE af_db.journal_head SET id = 0, hash = ''",
        "journal-unrecorded",
    ),
    ("DELETE FROM af_db.journal", "journal-removed"),
    (
        "TRUNCATE af_db.journal, af_db.journal_head",
        "journal-unrecorded",
    ),
    ("DROP TABLE af_db.journal_head", "journal-removed"),
    ("DROP TABLE af_db.journal", "journal-unrecorded"),
    ("DROP SCHEMA af_db CASCADE", "journal-unrecorded"),
    (
        "INSERT INTO af_db.journal SELECT id + 1, run, 6, 'x', state, statement, up_sha256, down_sha256, plan_sha256, actor, role, host, git_commit, tool, started, at, lock_waits, lsn, error, note, hash, 'x' FROM af_db.journal ORDER BY id DESC LIMIT 1",
        "journal-altered",
    ),
    (
        "ALTER TABLE af_db.journal ALTER hash DROP NOT NULL; UPDATE af_db.journal SET actor = 'nobody', hash = NULL WHERE id = 2",
        "journal-altered",
    ),
    (
        "ALTER TABLE af_db.journal ALTER previous DROP NOT NULL; UPDATE af_db.journal SET previous = NULL WHERE id = 2",
        "journal-altered",
    ),
    (
        "ALTER TABLE af_db.journal ALTER actor DROP NOT NULL; UPDATE af_db.journal SET actor = NULL, at = 'infinity'",
        "journal-altered",
    ),
    (
        "ALTER TABLE af_db.journal_head DROP CONSTRAINT journal_head_pkey; INSERT INTO af_db.journal_head SELECT * FROM af_db.journal_head",
        "journal-removed",
    ),
    (
        "DELETE FROM public.refinery_schema_history WHERE version = 3",
        "history-removed",
    ),
    ("TRUNCATE public.refinery_schema_history", "history-removed"),
    (
        "UPDATE public.refinery_schema_history SET name = 'other' WHERE version = 3",
        "history-altered",
    ),
    (
        "UPDATE af_db.journal SET up_sha256 = repeat('0', 64) WHERE version = 3; SELECT pg_temp.rehash()",
        "history-altered",
    ),
    (
        "INSERT INTO af_db.journal SELECT 1000, run, 6, 'x', state, statement, up_sha256, down_sha256, plan_sha256, actor, role, host, git_commit, tool, started, at, lock_waits, lsn, error, note, hash, 'x' FROM af_db.journal WHERE version = 5; UPDATE af_db.journal SET id = (SELECT max(id) FROM af_db.journal WHERE id < 1000) + 1 WHERE id = 1000; SELECT pg_temp.rehash()",
        "history-removed",
    ),
];

#[tokio::test]
async fn whatever_is_done_to_the_journal_is_found() {
    let (origin, project) = applied().await;
    verify(&project, &[]).await.ok();
    for (tamper, code) in TAMPERS {
        let database = server::database().await;
        // The same database again, without running everything once more.
        let copy = format!(
            "DROP DATABASE {0}; CREATE DATABASE {0} TEMPLATE {1}",
            database.name, origin.name
        );
        for statement in copy.split("; ") {
            let session = af_db::pg::connect::open(
                &database.target.with_database("postgres"),
                &af_db::event::silent,
            )
            .await;
            let sql = af_db::sql::safe::Sql::written_by_user(statement);
            session
                .expect("a session")
                .run(&sql)
                .await
                .expect(statement);
        }
        let force = format!("{REHASH} ALTER TABLE af_db.journal DISABLE TRIGGER USER; {tamper}");
        database.run(&force).await;
        let url = project.url().replace(&origin.name, &database.name);
        let ran = verify(&project, &["--database-url", &url]).await;
        assert_eq!(ran.status, 1, "{tamper}: {}", ran.seen());
        assert!(ran.seen().contains(code), "{tamper}: {}", ran.seen());
    }
}

#[tokio::test]
async fn an_anchor_outside_finds_what_was_rewritten_as_a_whole() {
    let (database, project) = applied().await;
    let missing = verify(&project, &["--anchor", "anchor.json"]).await;
    assert_eq!(missing.status, 2, "{}", missing.seen());
    project
        .run(&["history", "--anchor", "anchor.json"])
        .await
        .ok();
    verify(&project, &["--anchor", "anchor.json"]).await.ok();
    // What comes after the anchor is no change of what was before.
    project.run(&["down", "--yes"]).await.ok();
    verify(&project, &["--anchor", "anchor.json"]).await.ok();
    let rewrite = format!(
        "{REHASH} ALTER TABLE af_db.journal DISABLE TRIGGER USER; UPDATE af_db.journal SET actor = 'nobody'; SELECT pg_temp.rehash()"
    );
    database.run(&rewrite).await;
    verify(&project, &[]).await.ok();
    let found = verify(&project, &["--anchor", "anchor.json"]).await;
    assert_eq!(found.status, 1, "{}", found.seen());
    assert!(
        found.seen().contains("journal-rewritten"),
        "{}",
        found.seen()
    );
    // An anchor that does not hold is not written over.
    let kept = project.run(&["history", "--anchor", "anchor.json"]).await;
    assert_eq!(kept.status, 1, "{}", kept.seen());
    assert_eq!(
        verify(&project, &["--anchor", "anchor.json"]).await.status,
        1
    );
}

#[tokio::test]
async fn an_honest_history_is_not_suspected() {
    let (database, project) = applied().await;
    project.run(&["down", "--yes"]).await.ok();
    verify(&project, &[]).await.ok();
    project.run(&["up", "--yes"]).await.ok();
    verify(&project, &[]).await.ok();
    // Corrections of the record.
    project.write("migrations/V5__t.sql", "CREATE TABLE t5 (a int); -- later");
    project
        .run(&["repair", "--checksum", "5", "--yes"])
        .await
        .ok();
    verify(&project, &[]).await.ok();
    project
        .run(&["repair", "--mark-unapplied", "5", "--yes"])
        .await
        .ok();
    verify(&project, &[]).await.ok();
    project
        .run(&["repair", "--mark-applied", "5", "--yes"])
        .await
        .ok();
    verify(&project, &[]).await.ok();
    // A file that fails half-way, and its end.
    project.write(
        "migrations/V6__half.sql",
        "-- af-db: no-transaction\nCREATE TABLE t6 (a int);\nCREATE TABLE t1 (a int);\n",
    );
    let failed = project.run(&["up", "--yes"]).await;
    assert_ne!(failed.status, 0, "{}", failed.seen());
    verify(&project, &[]).await.ok();
    project.run(&["up", "--abort", "--yes"]).await;
    verify(&project, &[]).await.ok();
    project.write("migrations/V6__half.sql", "CREATE TABLE t7 (a int);");
    // A service that applies its migrations itself is somebody to be told of.
    database
        .run("INSERT INTO public.refinery_schema_history VALUES (7, 'by_a_service', '2026-01-01T00:00:00Z', '1')")
        .await;
    let found = verify(&project, &[]).await;
    assert_eq!(found.status, 1, "{}", found.seen());
    assert!(found.seen().contains("--services"), "{}", found.seen());
    verify(&project, &["--services"]).await.ok();
}

#[tokio::test]
async fn a_history_from_before_the_journal_is_honest_and_a_lost_journal_is_not() {
    let (database, project) = applied().await;
    // What refinery alone would have left.
    database
        .run("DROP SCHEMA af_db CASCADE; COMMENT ON TABLE public.refinery_schema_history IS NULL")
        .await;
    let told = verify(&project, &[]).await.ok();
    assert!(told.seen().contains("journal-unbegun"), "{}", told.seen());
    project.write("migrations/V6__t.sql", "CREATE TABLE t6 (a int);");
    project.run(&["up", "--yes"]).await.ok();
    let told = verify(&project, &[]).await.ok();
    assert!(told.seen().contains("journal-opened"), "{}", told.seen());
    // A migration from before is reverted and applied as any other.
    project
        .run(&["down", "--to", "4", "--accept-loss", "migration 6", "--yes"])
        .await;
    project.run(&["up", "--yes"]).await.ok();
    verify(&project, &[]).await.ok();
    let check = async |change: &str, undo: &str, code: &str| {
        database.run(change).await;
        let found = verify(&project, &[]).await;
        assert_eq!(found.status, 1, "{change}: {}", found.seen());
        assert!(found.seen().contains(code), "{change}: {}", found.seen());
        database.run(undo).await;
    };
    let table = "public.refinery_schema_history";
    check(
        &format!(
            "CREATE TABLE kept AS SELECT * FROM {table}; DELETE FROM {table} WHERE version = 2"
        ),
        &format!("INSERT INTO {table} SELECT * FROM kept WHERE version = 2; DROP TABLE kept"),
        "history-removed",
    )
    .await;
    check(
        &format!("UPDATE {table} SET checksum = checksum || '0' WHERE version = 2"),
        &format!("UPDATE {table} SET checksum = left(checksum, -1) WHERE version = 2"),
        "history-altered",
    )
    .await;
    check(
        &format!("INSERT INTO {table} VALUES (3000, 'x', '2020-01-01T00:00:00Z', '1')"),
        &format!("DELETE FROM {table} WHERE version = 3000"),
        "journal-unrecorded",
    )
    .await;
    // The mark outlives the journal, and a run after the loss does not hide it.
    database.run("DROP SCHEMA af_db CASCADE").await;
    project.write("migrations/V7__t.sql", "CREATE TABLE t7 (a int);");
    project.run(&["up", "--yes"]).await.ok();
    check("SELECT 1", "SELECT 1", "journal-unrecorded").await;
}
