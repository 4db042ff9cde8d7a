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
    error[adopt-broken]: migration 2: public.schema_migrations says `dirty`: migration 2 broke off half-way
      help: undo or finish what it did by hand, then tell it: migrate force 2

    1 error

    error: 1 thing has to be mended before its migrations can be taken over; nothing was written
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
    error[adopt-differs]: column public.accounts.secret: it is in the live database, not in the files

    1 error

    error: 1 thing has to be settled: the database is not what the files say; nothing was written
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
