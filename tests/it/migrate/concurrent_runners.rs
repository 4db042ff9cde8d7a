//! Many at once: runners of ours, and services that know nothing of our lock.

use futures_util::future::{join, join_all};
use refinery_core::{Migration, Runner};

use crate::support::project::Project;
use crate::support::server::{self, Database};
use crate::support::tcp_server::{PgBouncer, TcpServer};

/// What a service embeds; refinery cannot run the rest.
const EMBEDDED: [(&str, &str); 2] = [
    (
        "V1__a",
        "CREATE TABLE a (id int); INSERT INTO a VALUES (1);",
    ),
    ("V2__b", "INSERT INTO a VALUES (2);"),
];

/// Boots as a service that embeds its migrations does; what is applied beyond them does not stop it.
async fn boot(database: &Database) {
    let host = &database.target.hosts[0];
    let address = format!(
        "host='{}' port={} user=postgres dbname={}",
        host.name, host.port, database.name
    );
    let (mut client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls)
        .await
        .expect("a connection");
    let driving = tokio::spawn(connection);
    let embedded = EMBEDDED.map(|(stem, sql)| Migration::unapplied(stem, sql).expect("a name"));
    // Services that boot at once fail one another in refinery itself; that is theirs, and they boot again.
    let _ = Runner::new(&embedded)
        .set_abort_missing(false)
        .run_async(&mut client)
        .await;
    drop(client);
    let _ = driving.await;
}

#[tokio::test]
async fn twenty_runners_and_three_services_apply_each_file_once() {
    for _ in 0..2 {
        let database = server::database().await;
        let project = Project::of(&database.target);
        project.write("af-db.yaml", "migrations: { history-width: int8 }\n");
        for (stem, sql) in EMBEDDED {
            project.write(&format!("migrations/{stem}.sql"), sql);
        }
        for version in 3..=5 {
            project.write(
                &format!("migrations/V{version}__i.sql"),
                format!(
                    "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY a_{version} ON a (id);"
                ),
            );
        }
        project.write("migrations/V6__c.sql", "INSERT INTO a VALUES (3);");
        let runs = (0..20).map(|_| project.run(&["up", "--wait", "5min"]));
        let boots = (0..3).map(|_| boot(&database));
        for ran in join(join_all(runs), join_all(boots)).await.0 {
            ran.ok();
        }
        assert_eq!(
            database.rows("SELECT id FROM a ORDER BY 1").await,
            [["1"], ["2"], ["3"]]
        );
        assert_eq!(
            database
                .rows("SELECT count(*), count(*) FILTER (WHERE indisvalid) FROM pg_index WHERE indrelid = 'a'::regclass")
                .await,
            [["3", "3"]]
        );
        assert_eq!(
            database
                .one("SELECT string_agg(version::text, ' ' ORDER BY version) FROM refinery_schema_history")
                .await,
            "1 2 3 4 5 6"
        );
        assert_eq!(
            database
                .one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
                .await,
            "0"
        );
        project.run(&["status", "--check"]).await.ok();
        project.run(&["history", "--verify"]).await.ok();
    }
}

#[tokio::test]
async fn what_a_service_applied_while_we_waited_is_not_applied_again() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write("migrations/V1__a.sql", "CREATE TABLE a (id int);");
    project.run(&["up"]).await.ok();
    project.write("migrations/V2__b.sql", "CREATE TABLE b (id int);");
    project.write("migrations/V3__c.sql", "CREATE TABLE c (id int);");
    // As refinery does it: the file, then the row, in one transaction that begins before ours.
    let service = database.session().await;
    let run = async |text: &str| {
        let sql = af_db::sql::safe::Sql::written_by_user(text);
        service.run(&sql).await.expect("the service goes on");
    };
    run("BEGIN; CREATE TABLE b (id int)").await;
    let child = project.start(&["up"]);
    let watcher = database.session().await;
    let waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'";
    while server::rows(&watcher, waits).await.is_empty() {}
    let checksum = af_db::migrate::checksum::refinery(
        "b",
        2,
        "CREATE TABLE b (id int);",
        af_db::migrate::checksum::Width::Int4,
    );
    run(&format!(
        "INSERT INTO refinery_schema_history VALUES (2, 'b', '2026-01-01T00:00:00Z', '{checksum}'); COMMIT"
    ))
    .await;
    let ran = project.ended(child).await.ok();
    insta::assert_snapshot!(ran.seen(), @"
    applied 2 migrations to postgres@HOST:PORT/DATABASE
    migrations/V2__b.sql was applied by another process at the same time
    applied migrations/V3__c.sql (1 statement, N ms)
    status 0
    ");
    project.run(&["status", "--check"]).await.ok();
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused() {
    let server = TcpServer::prepare().await.start().await;
    let bouncer = PgBouncer::start(&server.target("sslmode=disable"), "transaction", "").await;
    let target = bouncer.target(&server.target("sslmode=disable"));
    let project = Project::of(&target);
    project.write("migrations/V1__a.sql", "CREATE TABLE a (id int);");
    insta::assert_snapshot!(project.run(&["up"]).await.seen(), @"
    error: `DATABASE@HOST:PORT/DATABASE` is a transaction-mode pooler; advisory locks do not work through it; nothing was changed
    hint: set direct-url (or DIRECT_URL) to the server itself, or to a pooler in session mode
    status 4
    ");
}
