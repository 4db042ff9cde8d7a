//! The answer to a COMMIT that does not come: looked up on a new connection, never repeated.

use crate::support::project::Project;
use crate::support::proxy::{Cut, Proxy};
use crate::support::server;

/// Runs `up` over two migrations with the connection cut at the first COMMIT; gives what is seen and what is done.
async fn cut_at_commit(header: &str, cut: Cut) -> (String, Vec<Vec<String>>) {
    let database = server::database().await;
    let proxy = Proxy::start(&database.target);
    let project = Project::of(&proxy.target());
    database.run("CREATE TABLE done (place int)").await;
    project.write(
        "migrations/V1__a.sql",
        format!(
            "{header}SET work_mem = '1MB';\nINSERT INTO done VALUES (1);\nINSERT INTO done VALUES (2);\n"
        ),
    );
    project.write("migrations/V2__b.sql", "INSERT INTO done VALUES (3);");
    proxy.cut_after(cut);
    let seen = project.run(&["up"]).await.seen();
    // The server may notice only after a while that the connection was cut, and keep the lock until then.
    let seen: Vec<&str> = seen
        .lines()
        .filter(|line| !line.contains("for the migration lock, held by"))
        .collect();
    let seen = seen.join("\n");
    project.run(&["up"]).await.ok();
    project.run(&["history", "--verify"]).await.ok();
    let done = database
        .rows("SELECT place, count(*) FROM done GROUP BY 1 ORDER BY 1")
        .await;
    (seen, done)
}

/// Replaces every digit of a moment.
fn timeless(seen: &str) -> String {
    let moment = |word: &str| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        digits >= 6 && word.chars().all(|c| c.is_ascii_digit() || "-:".contains(c))
    };
    let words = seen.split(' ').map(|word| {
        let (word, end) = match word.split_once('\n') {
            Some((word, rest)) => (word, format!("\n{rest}")),
            None => (word, String::new()),
        };
        let told = if moment(word) { "TIME" } else { word };
        format!("{told}{end}")
    });
    words.collect::<Vec<_>>().join(" ")
}

fn once() -> Vec<Vec<String>> {
    ["1", "2", "3"]
        .map(|place| vec![place.to_owned(), "1".to_owned()])
        .to_vec()
}

#[tokio::test]
async fn a_commit_that_succeeded_is_found_and_the_run_continues() {
    let (seen, done) = cut_at_commit("", Cut::OnceAfter("COMMIT")).await;
    insta::assert_snapshot!(seen, @"
    applied 2 migrations to postgres@HOST:PORT/DATABASE
    warning: the connection was lost during COMMIT; checking on a new connection whether it succeeded
    the COMMIT succeeded
    applied migrations/V1__a.sql (3 statements, N ms)
    applied migrations/V2__b.sql (1 statement, N ms)
    status 0
    ");
    assert_eq!(done, once());
}

#[tokio::test]
async fn a_commit_that_failed_is_reported_and_not_repeated() {
    let (seen, done) = cut_at_commit("", Cut::OnceBefore("COMMIT")).await;
    insta::assert_snapshot!(seen, @"
    warning: the connection was lost during COMMIT; checking on a new connection whether it succeeded
    error: migrations/V1__a.sql was rolled back; nothing was applied: the connection was lost: connection closed
    hint: run the command again: the COMMIT did not succeed
    status 2
    ");
    assert_eq!(done, once());
}

#[tokio::test]
async fn a_unit_commit_that_succeeded_is_found_and_the_file_continues() {
    let header = "-- af-db: no-transaction\n";
    let (seen, done) = cut_at_commit(header, Cut::OnceAfter("COMMIT")).await;
    insta::assert_snapshot!(seen, @"
    applied 2 migrations to postgres@HOST:PORT/DATABASE
    warning: the connection was lost during COMMIT; checking on a new connection whether it succeeded
    the COMMIT succeeded
    applied migrations/V1__a.sql (3 statements, N ms)
    applied migrations/V2__b.sql (1 statement, N ms)
    status 0
    ");
    assert_eq!(done, once());
}

#[tokio::test]
async fn a_unit_commit_that_failed_is_reported() {
    let header = "-- af-db: no-transaction\nINSERT INTO done VALUES (4);\n";
    let (seen, done) = cut_at_commit(header, Cut::OnceBefore("COMMIT")).await;
    insta::assert_snapshot!(seen, @"
    warning: the connection was lost during COMMIT; checking on a new connection whether it succeeded
    error: migrations/V1__a.sql was rolled back; nothing was applied: the connection was lost: connection closed
    hint: run the command again: the COMMIT did not succeed
    status 2
    ");
    assert_eq!(done[..3], once());
}

#[tokio::test]
async fn an_unknown_commit_is_checked_by_the_next_run() {
    let database = server::database().await;
    let proxy = Proxy::start(&database.target);
    let project = Project::of(&proxy.target());
    project.write("migrations/V1__a.sql", "CREATE TABLE done (place int);");
    project.run(&["up"]).await.ok();
    project.write("migrations/V2__b.sql", "INSERT INTO done VALUES (1);");
    proxy.reset();
    proxy.cut_after(Cut::Statement("COMMIT"));
    let ran = project.run(&["up"]).await;
    insta::assert_snapshot!(ran.seen(), @"
    warning: the connection was lost during COMMIT; checking on a new connection whether it succeeded
    waiting up to 3 s for `postgres@HOST:PORT/DATABASE`: the server is not answering yet
    error: stopped at the COMMIT of migrations/V2__b.sql; unknown whether it was applied: the connection was lost: connection closed
    hint: run the command again: it checks first whether the COMMIT succeeded, which is unknown now (cannot connect to `HOST:PORT`: connection closed)
    status 3
    ");
    proxy.restore();
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @"
    nothing to apply, postgres@HOST:PORT/DATABASE is up to date
    status 0
    ");
    assert_eq!(database.one("SELECT count(*) FROM done").await, "1");
}

#[tokio::test]
async fn a_run_that_was_overtaken_goes_no_further() {
    let database = server::database().await;
    let proxy = Proxy::start(&database.target);
    let project = Project::of(&proxy.target());
    project.write("migrations/V1__a.sql", "CREATE TABLE done (place int);");
    project.run(&["up"]).await.ok();
    // Stands for another run that recorded something between the COMMIT and the new connection.
    database
        .run(
            "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO af_db.journal SELECT (jsonb_populate_record(j, '{\"id\": 99, \"run\": \"other\"}')).*
               FROM af_db.journal AS j ORDER BY id DESC LIMIT 1; RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER other AFTER INSERT ON refinery_schema_history DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION other()",
        )
        .await;
    project.write("migrations/V2__b.sql", "INSERT INTO done VALUES (1);");
    project.write("migrations/V3__c.sql", "INSERT INTO done VALUES (2);");
    proxy.cut_after(Cut::OnceAfter("COMMIT"));
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @"
    warning: the connection was lost during COMMIT; checking on a new connection whether it succeeded
    the COMMIT succeeded
    applied migrations/V2__b.sql (1 statement, N ms)
    error: migrations/V3__c.sql was not started; 1 of 2 migrations applied: the connection was lost, and another run changed this database before the connection was restored
    hint: run the command again
    status 3
    ");
    assert_eq!(database.one("SELECT count(*) FROM done").await, "1");
}

#[tokio::test]
async fn an_interrupted_call_is_never_treated_as_not_run() {
    let database = server::database().await;
    let proxy = Proxy::start(&database.target);
    let project = Project::of(&proxy.target());
    database
        .run(
            "CREATE TABLE done (place int);
             CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO done VALUES (1); COMMIT; END $$",
        )
        .await;
    project.write(
        "migrations/V1__a.sql",
        "-- af-db: no-transaction\nCALL p();\nINSERT INTO done VALUES (2);\n",
    );
    proxy.cut_after(Cut::OnceAfter("CALL p()"));
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @"
    error: stopped in migrations/V1__a.sql; the outcome of the first statement is unknown: the connection was lost: connection closed
      at migrations/V1__a.sql:2:1, statement 1
    2 | CALL p();
      | ^
    hint: run the command again: it checks the catalog whether this statement took effect, and continues after it
    status 3
    ");
    // However often it is asked again.
    let refused = timeless(&project.run(&["up"]).await.seen());
    insta::assert_snapshot!(refused, @"
    migrations/V1__a.sql was interrupted at TIME TIME UTC; continuing with statement 1
    error: stopped in migrations/V1__a.sql; the outcome of the first statement is unknown: an earlier run was interrupted during this statement, and the catalog does not show whether it took effect
      at migrations/V1__a.sql:2:1, statement 1
    2 | CALL p();
      | ^
    hint: check the database, then record the outcome: af-db repair --resume 1 --as done, or --as not-done
    status 3
    ");
    assert_eq!(timeless(&project.run(&["up"]).await.seen()), refused);
    project
        .run(&["repair", "--resume", "1", "--as", "done"])
        .await
        .ok();
    project.run(&["up"]).await.ok();
    assert_eq!(
        database.rows("SELECT place FROM done ORDER BY 1").await,
        [["1"], ["2"]]
    );
}

#[tokio::test]
async fn an_interrupted_down_migration_continues() {
    let database = server::database().await;
    let proxy = Proxy::start(&database.target);
    let project = Project::of(&proxy.target());
    project.write(
        "migrations/V1__a.sql",
        "CREATE TABLE a (id int); CREATE TABLE b (id int);",
    );
    project.write(
        "migrations/V1__a.down.sql",
        "-- af-db: no-transaction\nDROP TABLE a;\nDROP TABLE b;\n",
    );
    project.run(&["up"]).await.ok();
    proxy.reset();
    proxy.cut_after(Cut::Statement("DROP TABLE b"));
    insta::assert_snapshot!(project.run(&["down", "--yes", "-q"]).await.seen(), @"
    error: stopped in migrations/V1__a.down.sql after 1 statement: the connection was lost: connection closed
    hint: run af-db down again to continue after the completed statements
    status 3
    ");
    proxy.restore();
    let status = project.run(&["status", "--check"]).await.seen();
    insta::assert_snapshot!(timeless(&status), @"
    postgres@HOST:PORT/DATABASE (local, PostgreSQL VERSION)

       1  partially reverted  a  TIME TIME

    1 migration is applied, 0 pending

    error[history-half-reverted]: migration 1: Partially reverted: interrupted at TIME TIME UTC after 1 statement; the next run continues with statement 2
      at migrations/V1__a.down.sql
      help: Run af-db down again

    1 error
    status 1
    ");
    assert_eq!(project.run(&["up"]).await.status, 4);
    insta::assert_snapshot!(project.run(&["down", "--yes", "-q"]).await.seen(), @"
    reverted 1 migration in postgres@HOST:PORT/DATABASE
    status 0
    ");
    assert_eq!(
        database
            .one("SELECT to_regclass('a') IS NULL AND to_regclass('b') IS NULL")
            .await,
        "t"
    );
    project.run(&["up"]).await.ok();
}
