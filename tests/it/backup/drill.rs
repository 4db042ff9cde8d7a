//! Drills from the command line: an archive is restored on a throwaway server and what was wrong is said.

use crate::support::project::Project;
use crate::support::server::Database;

use super::Bench;

/// A project with an archive of three rows.
async fn archived(database: &Database) -> Project {
    let rows = "CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept VALUES (1), (2), (3)";
    database.run(rows).await;
    let project = Project::of(&database.target);
    let made = project.run(&["backup"]).await;
    assert_eq!(made.status, 0, "{}", made.stderr);
    project
}

#[tokio::test]
async fn a_database_of_any_name_is_drilled() {
    // Supabase keeps everything in `postgres`, which a server needs for itself.
    let mut bench = Bench::new().await;
    bench.database.target = bench.database.target.with_database("postgres");
    let project = archived(&bench.database).await;
    project.write(
        "af-db.yaml",
        "backup: { smoke: [\"SELECT count(*) FROM kept\"] }\n",
    );
    let drilled = project.run(&["restore", "--drill", "--json"]).await;
    assert_eq!(drilled.status, 0, "{}\n{}", drilled.stdout, drilled.stderr);
    let document: serde_json::Value = serde_json::from_str(&drilled.stdout).unwrap();
    assert_eq!(document["smoke"][0]["answer"], "3", "{document:#}");
}

#[tokio::test]
async fn a_smoke_query_that_fails_fails_the_drill() {
    let bench = Bench::new().await;
    let project = archived(&bench.database).await;
    project.write(
        "af-db.yaml",
        "backup: { smoke: [\"SELECT count(*) FROM lost\"] }\n",
    );
    let drilled = project.run(&["restore", "--drill"]).await;
    assert_eq!(drilled.status, 1, "{}\n{}", drilled.stdout, drilled.stderr);
    assert!(drilled.stdout.contains("lost"), "{}", drilled.stdout);
}
