//! What is refused, with its reason, and leaves everything as it was.

use super::{case, sample};

#[tokio::test]
async fn golang_migrate_that_is_dirty_is_refused() {
    let sample = sample(case("golang-migrate")).await;
    sample
        .database
        .run("UPDATE schema_migrations SET dirty = true")
        .await;
    let ran = sample
        .project
        .run(&["adopt", "--from", "golang-migrate", "--yes"])
        .await;
    insta::assert_snapshot!(ran.seen(), @"
    error[adopt-broken]: migration 2: public.schema_migrations is `dirty`: migration 2 is partially applied
      help: complete or undo the migration by hand, then run: migrate force 2

    1 error

    error: 1 error must be fixed before the migrations can be adopted; nothing was written
    status 4
    ");
}

#[tokio::test]
async fn a_database_that_is_not_what_the_files_say_is_refused() {
    let sample = sample(case("golang-migrate")).await;
    sample
        .database
        .run("ALTER TABLE accounts ADD COLUMN secret text")
        .await;
    let ran = sample
        .project
        .run(&["adopt", "--from", "golang-migrate", "--yes"])
        .await;
    insta::assert_snapshot!(ran.seen(), @"
    PostgreSQL VERSION
    error[adopt-differs]: column public.accounts.secret: found in the live database, missing in the files

    1 error

    error: 1 error must be resolved: the database differs from the files; nothing was written
    status 4
    ");
    sample
        .project
        .run(&[
            "adopt",
            "--from",
            "golang-migrate",
            "--yes",
            "--accept-differences",
        ])
        .await
        .ok();
}

/// Breaks a sample and gives what is said; nothing may have been written.
async fn refused(tool: &str, sql: &str, file: Option<(&str, &str)>) -> String {
    let case = case(tool);
    let sample = sample(case).await;
    if !sql.is_empty() {
        sample.database.run(sql).await;
    }
    if let Some((path, text)) = file {
        sample.project.write(path, text);
    }
    let ran = sample
        .project
        .run(&["adopt", "--from", case.tool, "--into", "ours", "--yes"])
        .await;
    assert_eq!(ran.status, 4, "{tool}: {}", ran.seen());
    let ours = "SELECT to_regnamespace('af_db') IS NULL";
    assert_eq!(sample.database.one(ours).await, "t", "{tool}");
    assert!(
        !sample.project.folder.path().join("af-db.yaml").exists(),
        "{tool}"
    );
    assert!(
        !sample.project.folder.path().join("ours").exists(),
        "{tool}"
    );
    let first = ran
        .stdout
        .lines()
        .chain(ran.stderr.lines())
        .find(|line| line.starts_with("error["));
    first.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_a_tool_records_as_broken_is_refused() {
    let said = [
        refused(
            "sqlx",
            "UPDATE _sqlx_migrations SET success = false WHERE version = 20260106090000",
            None,
        )
        .await,
        refused(
            "flyway",
            "UPDATE flyway_schema_history SET success = false WHERE version = '1.1'",
            None,
        )
        .await,
        refused(
            "prisma",
            "UPDATE _prisma_migrations SET finished_at = NULL WHERE id LIKE '%3'",
            None,
        )
        .await,
        refused(
            "sqitch",
            "INSERT INTO sqitch.events VALUES ('fail', 'c3', 'prices', 'shop')",
            None,
        )
        .await,
        refused(
            "alembic",
            "UPDATE alembic_version SET version_num = 'deadbeef0000'",
            None,
        )
        .await,
        refused(
            "dbmate",
            "INSERT INTO schema_migrations VALUES ('20260107000000')",
            None,
        )
        .await,
    ];
    insta::assert_snapshot!(said.join("\n"), @"
    error[adopt-broken]: migration 20260106090000: public._sqlx_migrations records migration 20260106090000 as not successful
    error[adopt-broken]: migration 1.1: public.flyway_schema_history records migration 1.1 as failed
    error[adopt-broken]: migration 20260106090000_posts: public._prisma_migrations records migration 20260106090000_posts as started but not finished
    error[adopt-broken]: migration prices: sqitch.changes records migration prices as `fail`
    error[adopt-file-missing]: migration deadbeef0000: applied by the tool, but the migration file is missing
    error[adopt-file-missing]: migration 20260107000000: applied by the tool, but the migration file is missing
    ");
}

#[tokio::test]
async fn an_edited_file_is_refused_where_the_tool_records_checksums() {
    let edit = "-- another text\nSELECT 1;\n";
    let said = [
        refused(
            "sqlx",
            "",
            Some(("migrations/20260105090000_users.up.sql", edit)),
        )
        .await,
        refused("flyway", "", Some(("sql/V1__items.sql", edit))).await,
        refused(
            "prisma",
            "",
            Some(("prisma/migrations/20260105090000_init/migration.sql", edit)),
        )
        .await,
        refused("sqitch", "", Some(("deploy/app.sql", edit))).await,
        refused(
            "graphile-migrate",
            "",
            Some(("migrations/committed/000001.sql", edit)),
        )
        .await,
        refused(
            "goose",
            "",
            Some(("migrations/00004_x.go", "package migrations\n")),
        )
        .await,
        refused(
            "flyway",
            "",
            Some(("sql/V3__p.sql", "CREATE TABLE ${name} (id int);\n")),
        )
        .await,
        refused(
            "sqitch",
            "",
            Some(("verify/goods.sql", "SELECT gone FROM app.goods;\n")),
        )
        .await,
    ];
    insta::assert_snapshot!(said.join("\n"), @r#"
    error[adopt-edited]: migrations/20260105090000_users.up.sql: checksum mismatch: the file was modified after the tool applied it
    error[adopt-edited]: sql/V1__items.sql: checksum mismatch: the file was modified after the tool applied it
    error[adopt-edited]: prisma/migrations/20260105090000_init/migration.sql: checksum mismatch: the file was modified after the tool applied it
    error[adopt-edited]: deploy/app.sql: checksum mismatch: the file was modified after the tool applied it
    error[migration-layout]: migrations/committed/000001.sql: the text does not match the `--! Hash:` line of the file
    error[migration-program]: migrations/00004_x.go: this migration is a program; af-db runs only SQL
    error[migration-layout]: sql/V3__p.sql: unsupported Flyway placeholder `${name}`
    error[adopt-verify]: verify/goods.sql: the verify script fails on the shadow database: column "gone" does not exist (SQLSTATE 42703)
    "#);
}

#[tokio::test]
async fn files_that_could_be_of_two_tools_are_not_guessed() {
    let sample = sample(case("golang-migrate")).await;
    sample.database.run("DROP TABLE schema_migrations").await;
    let ran = sample.project.run(&["adopt", "--yes"]).await;
    insta::assert_snapshot!(ran.seen(), @"
    error: the migrations could belong to golang-migrate in migrations, or sqlx in migrations; nothing was written
    hint: Choose the tool with --from and the directory with --dir
    status 4
    ");
    let ran = sample
        .project
        .run(&["adopt", "--from", "gose", "--yes"])
        .await;
    insta::assert_snapshot!(ran.seen(), @"
    error: unknown layout `gose`
    hint: did you mean `goose`?
    status 2
    ");
    let ran = sample
        .project
        .run(&["adopt", "--from", "goose", "--dir", "gone", "--yes"])
        .await;
    insta::assert_snapshot!(ran.seen(), @"
    error: there is no folder `gone`
    status 2
    ");
}
