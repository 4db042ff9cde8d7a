//! Interruptions, races and blockers.

use crate::support::project::Project;
use crate::support::server;

/// A statement that ends its own server process while the table `die` says so for its place.
fn deadly(place: usize) -> String {
    format!(
        "INSERT INTO done VALUES ({place}); SELECT pg_terminate_backend(pg_backend_pid()) FROM die WHERE at = {place};\n"
    )
}

#[tokio::test]
async fn a_server_process_killed_at_any_statement_leaves_a_run_that_continues() {
    for header in ["", "-- af-db: no-transaction\n"] {
        for place in 0..10 {
            let database = server::database().await;
            let project = Project::of(&database.target);
            database
                .run("CREATE TABLE die (at int); CREATE TABLE done (place int)")
                .await;
            database
                .run(&format!("INSERT INTO die VALUES ({place})"))
                .await;
            let text: String = (0..10).map(deadly).collect();
            project.write("migrations/V1__a.sql", format!("{header}{text}"));
            let ran = project.run(&["up"]).await;
            assert!(matches!(ran.status, 2 | 3), "place {place}: {}", ran.seen());
            database.run("DELETE FROM die").await;
            project.run(&["up"]).await.ok();
            let done = database
                .rows("SELECT place, count(*) FROM done GROUP BY 1 ORDER BY 1")
                .await;
            let expected: Vec<Vec<String>> = (0..10)
                .map(|place| vec![place.to_string(), "1".to_owned()])
                .collect();
            assert_eq!(
                done, expected,
                "each statement once, cut at {place} with {header:?}"
            );
            project.run(&["status", "--check"]).await.ok();
            project.run(&["history", "--verify"]).await.ok();
        }
    }
}

#[tokio::test]
async fn an_invalid_index_is_dropped_and_built_again() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    database
        .run("CREATE TABLE a (id int); INSERT INTO a VALUES (1), (1)")
        .await;
    let index = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_id ON a (id);";
    project.write(
        "migrations/V1__i.sql",
        format!("-- af-db: no-transaction\n{index}\n"),
    );
    let failed = project.run(&["up"]).await;
    assert_eq!(failed.status, 2, "{}", failed.seen());
    assert_eq!(
        database
            .one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass")
            .await,
        "f"
    );
    database.run("TRUNCATE a").await;
    project.run(&["up"]).await.ok();
    assert_eq!(
        database
            .one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass")
            .await,
        "t"
    );
}

#[tokio::test]
async fn many_runners_apply_each_file_once() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__a.sql",
        "CREATE TABLE a (id int); INSERT INTO a VALUES (1);",
    );
    project.write(
        "migrations/V2__i.sql",
        "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY a_id ON a (id);",
    );
    project.write("migrations/V3__b.sql", "INSERT INTO a VALUES (2);");
    let runs = (0..8).map(|_| project.run(&["up"]));
    for ran in futures_util::future::join_all(runs).await {
        ran.ok();
    }
    assert_eq!(database.one("SELECT count(*) FROM a").await, "2");
    assert_eq!(
        database
            .one("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
            .await,
        "0"
    );
    assert_eq!(
        database
            .one("SELECT count(*) FROM af_db.journal WHERE state = 'applied'")
            .await,
        "3"
    );
}

#[tokio::test]
async fn a_blocker_is_named_and_the_budget_kept() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    database.run("CREATE TABLE a (id int)").await;
    let blocker = database.session().await;
    blocker
        .run(&af_db::sql::safe::Sql::new("BEGIN; SELECT FROM a"))
        .await
        .unwrap();
    project.write("migrations/V1__a.sql", "ALTER TABLE a ADD COLUMN b int;");
    let ran = project.run(&["up", "--lock-budget", "2s"]).await;
    assert_eq!(ran.status, 75, "{}", ran.seen());
    assert!(
        ran.stderr.contains("held by") && ran.stderr.contains("pg_terminate_backend"),
        "{}",
        ran.seen()
    );
    blocker
        .run(&af_db::sql::safe::Sql::new("COMMIT"))
        .await
        .unwrap();
    project.run(&["up"]).await.ok();
}
