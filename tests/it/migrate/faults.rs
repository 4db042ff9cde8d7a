//! What a failure leaves behind, and who is in the way.

use crate::support::project::Project;
use crate::support::server;

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
