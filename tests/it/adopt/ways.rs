//! Both ways of taking over, for every tool: in place and converted; and what is told afterwards.

use super::{CASES, case, sample};

#[tokio::test]
async fn every_tool_is_taken_over_in_place() {
    for case in CASES {
        let sample = sample(case).await;
        let (project, database) = (&sample.project, &sample.database);
        let whole = format!(
            "SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM {} AS t",
            case.table
        );
        let before = database.one(&whole).await;
        project
            .run(&["adopt", "--from", case.tool, "--yes"])
            .await
            .ok();
        let status = project
            .run(&["status", "--foreign", "--json"])
            .await
            .ok()
            .json();
        assert_eq!(status["pending"], 1, "{}: {status}", case.tool);
        assert_eq!(
            status["findings"].as_array().map(Vec::len),
            Some(0),
            "{}: {status}",
            case.tool
        );
        assert_eq!(database.one(case.next).await, "f", "{}", case.tool);
        project.run(&["up"]).await.ok();
        assert_eq!(database.one(case.next).await, "t", "{}", case.tool);
        assert_eq!(
            database.one(&whole).await,
            before,
            "{}: its own history",
            case.tool
        );
        project.run(&["status", "--check", "--foreign"]).await.ok();
        project.run(&["history", "--verify"]).await.ok();
    }
}

#[tokio::test]
async fn every_tool_is_taken_over_converted() {
    for case in CASES {
        let sample = sample(case).await;
        let (project, database) = (&sample.project, &sample.database);
        project
            .run(&[
                "adopt",
                "--from",
                case.tool,
                "--convert",
                "--into",
                "ours",
                "--yes",
            ])
            .await
            .ok();
        let status = project
            .run(&["status", "--foreign", "--json"])
            .await
            .ok()
            .json();
        assert_eq!(status["pending"], 1, "{}: {status}", case.tool);
        assert_eq!(
            status["findings"].as_array().map(Vec::len),
            Some(0),
            "{}: {status}",
            case.tool
        );
        project.run(&["up"]).await.ok();
        assert_eq!(database.one(case.next).await, "t", "{}", case.tool);
        let table = std::fs::read_to_string(project.folder.path().join("ours/adopted.json"))
            .expect("the table");
        let table: serde_json::Value = serde_json::from_str(&table).expect("a document");
        assert_eq!(
            table.as_array().map(Vec::len),
            Some(case.applied.len() + 1),
            "{}",
            case.tool
        );
    }
}

#[tokio::test]
async fn nothing_is_written_before_it_is_confirmed() {
    let sample = sample(case("golang-migrate")).await;
    let (project, database) = (&sample.project, &sample.database);
    insta::assert_snapshot!(project.run(&["adopt", "--from", "golang-migrate"]).await.seen(), @"
    PostgreSQL VERSION
    found 3 migrations of golang-migrate in migrations
    found its history in public.schema_migrations on postgres@HOST:PORT/DATABASE: 2 applied, 1 pending
    the database is what the applied files say
    this would be written:
      af-db.yaml: migrations: layout: golang-migrate
      2 rows in our history and journal; public.schema_migrations stays as it is
    error: there is no terminal to ask on: Take it over?
    hint: say --yes if this is meant
    status 4
    ");
    assert!(!project.folder.path().join("af-db.yaml").exists());
    assert_eq!(
        database
            .one("SELECT to_regclass('refinery_schema_history') IS NULL")
            .await,
        "t"
    );
    assert_eq!(
        database
            .one("SELECT to_regnamespace('af_db') IS NULL")
            .await,
        "t"
    );
    insta::assert_snapshot!(project.run(&["adopt", "--from", "golang-migrate", "--yes"]).await.seen(), @"
    took over 2 migrations of golang-migrate from migrations, 1 pending
    wrote af-db.yaml
    wrote public.refinery_schema_history and af_db.journal

    next: af-db status
    PostgreSQL VERSION
    found 3 migrations of golang-migrate in migrations
    found its history in public.schema_migrations on postgres@HOST:PORT/DATABASE: 2 applied, 1 pending
    the database is what the applied files say
    this would be written:
      af-db.yaml: migrations: layout: golang-migrate
      2 rows in our history and journal; public.schema_migrations stays as it is
    status 0
    ");
    insta::assert_snapshot!(project.run(&["adopt", "--from", "golang-migrate", "--yes"]).await.seen(), @"
    error: public.schema_migrations is taken over already; nothing was written
    hint: af-db status --foreign says whether that tool has run since
    status 4
    ");
}

#[tokio::test]
async fn a_run_of_the_other_tool_is_told() {
    let sample = sample(case("golang-migrate")).await;
    let (project, database) = (&sample.project, &sample.database);
    project
        .run(&["adopt", "--from", "golang-migrate", "--yes"])
        .await
        .ok();
    database
        .run("UPDATE schema_migrations SET version = 3")
        .await;
    insta::assert_snapshot!(project.run(&["status", "--foreign", "--check"]).await.seen(), @"
    postgres@HOST:PORT/DATABASE (local, PostgreSQL VERSION)

       1  applied  accounts       2026-11-21 07:54:53
       2  applied  account_names  2026-11-21 07:54:53
       3  pending  names_index

    2 migrations are applied, 1 pending

    error[foreign-applied]: migration 3: golang-migrate has applied it since its history was taken over
      help: keep that tool from running; record what it did: af-db repair --mark-applied VERSION

    error[foreign-reverted]: migration 1: golang-migrate has reverted it since its history was taken over
      help: keep that tool from running; record what it did: af-db repair --mark-unapplied VERSION

    error[foreign-reverted]: migration 2: golang-migrate has reverted it since its history was taken over
      help: keep that tool from running; record what it did: af-db repair --mark-unapplied VERSION

    3 errors
    status 1
    ");
    database
        .run("UPDATE schema_migrations SET version = 1")
        .await;
    insta::assert_snapshot!(project.run(&["status", "--foreign", "--check"]).await.seen(), @"
    postgres@HOST:PORT/DATABASE (local, PostgreSQL VERSION)

       1  applied  accounts       2026-11-21 07:54:53
       2  applied  account_names  2026-11-21 07:54:53
       3  pending  names_index

    2 migrations are applied, 1 pending

    error[foreign-reverted]: migration 2: golang-migrate has reverted it since its history was taken over
      help: keep that tool from running; record what it did: af-db repair --mark-unapplied VERSION

    1 error
    status 1
    ");
}
