//! Throwaway servers: what they give, and that nothing of them stays.

use crate::support::server;

#[tokio::test]
async fn databases_are_made_copied_and_dropped() {
    let server = server::own(None).await;
    let first = server.database().await;
    first
        .run("CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)")
        .await;
    let copy = server
        .scratch
        .clone_database(&first.name, "copy")
        .await
        .unwrap();
    let copy = server::Database {
        target: copy,
        name: "copy".to_owned(),
    };
    assert_eq!(copy.one("SELECT id FROM kept").await, "7");
    server.scratch.drop_database("copy").await.unwrap();
    let left = first
        .one("SELECT count(*) FROM pg_database WHERE datname = 'copy'")
        .await;
    assert_eq!(left, "0");
    let version = first.one("SHOW server_version_num").await;
    assert_eq!(version, server.scratch.version_num().to_string());
}

#[tokio::test]
async fn nothing_stays_of_a_dropped_server() {
    let server = server::own(None).await;
    let directory = server.scratch.directory().to_owned();
    let pid = server.scratch.pid();
    assert!(directory.join("data").exists());
    drop(server);
    assert!(!directory.exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn tests_share_a_server_but_no_database() {
    let one = server::database().await;
    let other = server::database().await;
    one.run("CREATE TABLE here (id int)").await;
    assert_eq!(other.one("SELECT to_regclass('here')").await, "∅");
}

#[tokio::test]
async fn a_server_of_ones_own_may_have_roles() {
    let server = server::own(None).await;
    let database = server.database().await;
    database.run("CREATE ROLE reader LOGIN").await;
    let session = database.session_as("reader").await;
    assert_eq!(
        server::rows(&session, "SELECT current_user").await,
        [["reader"]]
    );
}
