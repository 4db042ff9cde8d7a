//! Restores that meet trouble at any of their steps, servers that turn them away, disks without room, and big or newer archives.

use std::time::Duration;

use af_db::backup::archive::Archive;
use af_db::backup::restore::{self, Destination};
use af_db::error::{Exit, exit_of};
use af_db::event::{Interrupt, silent};
use af_db::pg::program::Program;

use super::{Bench, options, restore_options};
use crate::support::proxy::Proxy;
use crate::support::tcp_server::TcpServer;
use crate::support::{message, packages, project, server};

/// What a restore says to the server at each of its steps.
const STEPS: [&str; 5] = [
    "CREATE TABLE shop.tenants",
    "COPY shop.keyless",
    "CREATE INDEX orders_tenant",
    "ANALYZE",
    "TO STDOUT",
];

/// Restores by swap and strikes when the step begins.
async fn struck_at(step: &str, is_cut: bool, bench: &Bench, archive: &Archive) -> anyhow::Error {
    let proxy = Proxy::start(&bench.database.target);
    proxy.latency(Duration::from_millis(2));
    let mut options = bench.restore_options(&bench.database.name);
    options.target = proxy.target();
    options.place = Destination::Swap;
    let (store, interrupt) = (bench.store(), Interrupt::default());
    let restore = restore::run(&options, &store, &archive.name, &silent, &interrupt);
    let strike = async {
        let began = async {
            while !proxy.statements().iter().any(|one| one.contains(step)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let began = tokio::time::timeout(Duration::from_secs(60), began).await;
        began.unwrap_or_else(|_| panic!("{step} should begin"));
        if is_cut {
            proxy.cut();
            // The line comes back, as lines do; what was made can then be removed.
            tokio::time::sleep(Duration::from_millis(50)).await;
            proxy.restore();
        } else {
            interrupt.raise();
        }
    };
    let (restored, ()) = tokio::join!(restore, strike);
    restored.expect_err("a struck restore fails")
}

#[tokio::test]
async fn a_failure_at_any_step_keeps_the_old_database_and_leaves_nothing() {
    let bench = Bench::full().await;
    bench
        .database
        .run("ALTER TABLE keyless SET SCHEMA shop; INSERT INTO shop.keyless SELECT n, md5(n::text) FROM generate_series(1, 5000) AS n")
        .await;
    let archive = bench.backup().await;
    bench.database.run("DELETE FROM shop.events").await;
    for step in STEPS {
        for is_cut in [false, true] {
            let error = struck_at(step, is_cut, &bench, &archive).await;
            let expected = if is_cut {
                Exit::CannotDo
            } else {
                Exit::Interrupted
            };
            assert_eq!(exit_of(&error), expected, "{step}: {error:#}");
            assert_eq!(
                bench.databases().await,
                [bench.database.name.as_str()],
                "{step}"
            );
            let rows = "SELECT (SELECT count(*) FROM shop.keyless) || ' ' || (SELECT count(*) FROM shop.events)";
            assert_eq!(bench.database.one(rows).await, "6000 0", "{step}");
            let left = std::fs::read_dir(bench.folder.path())
                .expect("a folder")
                .count();
            assert_eq!(left, 1, "{step} left something beside the store");
        }
    }
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_reported() {
    let server = TcpServer::prepare()
        .await
        .hba_rules("host all all 127.0.0.1/32 scram-sha-256")
        .start()
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = af_db::backup::store::Store::parse(
        "store",
        folder.path(),
        &std::collections::BTreeMap::new(),
    )
    .expect("a store");
    let port = server.port.to_string();
    let said = async |target: af_db::pg::target::Target| {
        let error =
            af_db::backup::dump::run(&options(&target), &store, &silent, &Interrupt::default())
                .await
                .expect_err("a refused connection");
        assert!(!folder.path().join("store").exists());
        message::shown(&error, &[(&port, "PORT")])
    };
    let wrong = server.target("sslmode=disable&password=wrong");
    insta::assert_snapshot!(said(wrong).await, @r#"
    error: cannot connect to database `postgres` at `127.0.0.1:PORT`
    caused by: password authentication failed for user "postgres" (SQLSTATE 28P01)
    hint: check the password in the connection URL, PGPASSWORD or PGPASSFILE
    exit: 2
    "#);
    let secure = server.target("sslmode=require&password=wrong");
    insta::assert_snapshot!(said(secure).await, @"
    error: the server at `127.0.0.1:PORT` does not support TLS
    caused by: server does not support TLS
    hint: enable TLS on the server (ssl = on), or use sslmode=disable on a trusted network
    exit: 2
    ");
}

/// Runs the program where a folder `small` is a disk of this size, and then a command that looks at what is left.
async fn on_a_small_disk(
    bench: &Bench,
    size: &str,
    arguments: &[&str],
    then: &str,
) -> af_db::pg::program::ProgramOutput {
    let host = &bench.database.target.hosts[0];
    let url = format!(
        "host='{}' port={} user=postgres dbname='{}'",
        host.name, host.port, bench.database.name
    );
    let small = bench.folder.path().join("small");
    std::fs::create_dir_all(&small).expect("a folder");
    // A disk of its own, seen by this one process and gone with it.
    let script = format!(
        "mount -t tmpfs -o size={size},mode=0777 none small && \"$@\"; status=$?; {then}; exit $status"
    );
    let is_root = rustix::process::geteuid().is_root();
    let privileges: &[&str] = if is_root {
        &["--mount"]
    } else {
        &["--mount", "--map-root-user"]
    };
    Program::new("/usr/bin/unshare")
        .args(privileges)
        .args(["sh", "-c", &script, "sh"])
        .arg(env!("CARGO_BIN_EXE_af-db"))
        .args(arguments)
        .args(["--database-url", &url])
        .env("HOME", bench.folder.path())
        .env("PATH", project::path())
        .env("AF_DB_CACHE_DIR", server::options().cache())
        .env("AF_DB_SCRATCH_DIR", &small)
        .directory(bench.folder.path())
        .run()
        .await
        .expect("the program")
}

#[tokio::test]
async fn a_full_disk_is_detected_before_or_reported_after() {
    let bench = Bench::full().await;
    bench
        .database
        .run("CREATE TABLE shop.big AS SELECT n, repeat(md5(n::text), 8) AS text FROM generate_series(1, 250000) AS n")
        .await;
    let archive = bench.backup().await;
    let restore = ["restore", &archive.name, "--from", "store"];
    let unpacking = [&restore[..], &["--into", "elsewhere", "--scratch", "small"]].concat();
    let before = on_a_small_disk(&bench, "3m", &unpacking, "ls -A small").await;
    assert_eq!(before.status.code(), Some(4), "{}", before.stderr);
    assert!(
        before.stderr.contains("small has 3 MB free; unpacking `"),
        "{}",
        before.stderr
    );
    assert_eq!(before.text(), "");

    let drill = [&restore[..], &["--drill"]].concat();
    let during = on_a_small_disk(&bench, "90m", &drill, "ls -A small | grep -v lock").await;
    assert_eq!(during.status.code(), Some(2), "{}", during.stderr);
    // When the WAL finds no space, PostgreSQL crashes, and no more than that is reported.
    let told = ["No space left on device", "server closed the connection"];
    assert!(
        told.iter().any(|words| during.stderr.contains(words))
            && during.stderr.contains("nothing was changed"),
        "{}",
        during.stderr
    );
    assert_eq!(during.text(), "", "the throwaway server is gone");
    assert_eq!(bench.databases().await, [bench.database.name.as_str()]);
}

#[tokio::test]
async fn an_archive_of_a_newer_server_is_refused() {
    let bench = Bench::full().await;
    let mut archive = bench.backup().await;
    archive.server.version_num = 990_001;
    let path = bench.archive_path(&archive).join("archive.json");
    std::fs::write(path, archive.to_json().unwrap()).unwrap();
    let error = bench
        .restore(&archive, &bench.restore_options("newer"))
        .await
        .unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused);
    assert!(
        error
            .to_string()
            .starts_with("the backup is from PostgreSQL 99, but this server is "),
        "{error}"
    );
    assert_eq!(bench.databases().await, [bench.database.name.as_str()]);
}

#[tokio::test]
async fn a_million_rows_without_a_key_are_restored_and_an_extra_row_is_found() {
    let bench = Bench::new().await;
    bench
        .database
        .run("CREATE TABLE log AS SELECT n % 1000 AS code, 'line ' || n % 5000 AS text FROM generate_series(1, 1000000) AS n")
        .await;
    let archive = bench.backup().await;
    assert_eq!(archive.totals.rows, 1_000_000);
    let restored = bench
        .restore(&archive, &bench.restore_options("again"))
        .await
        .unwrap();
    assert_eq!(restored.findings, []);
    // Equal rows count: taking one of many away and doubling another is no secret.
    let target = bench.database.target.with_database("again");
    let session = af_db::pg::connect::open(&target, &silent).await.unwrap();
    let sql = "DELETE FROM log WHERE ctid = (SELECT ctid FROM log WHERE code = 1 LIMIT 1); \
               INSERT INTO log SELECT * FROM log WHERE code = 2 LIMIT 1";
    session.run(&af_db::sql::safe::Sql::new(sql)).await.unwrap();
    session.close().await;
    let verified = bench.verify(&archive, &[]).await.unwrap();
    let proof = verified.contents.unwrap().proof;
    let findings = af_db::backup::compare::data::compare(&target, &proof, &silent)
        .await
        .unwrap();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].code, "proof-values");
}

#[tokio::test]
async fn an_archive_goes_into_a_newer_major_version() {
    let places = af_db::backup::clients::ClientSearchPath {
        named: Some(packages::clients_17()),
        path: Vec::new(),
    };
    let newer = server::own(Some(17)).await;
    for major in [14, 15] {
        let older = server::own(Some(major)).await;
        let database = older.database().await;
        database.run(include_str!("everything.sql")).await;
        let bench = Bench {
            database,
            folder: tempfile::tempdir().unwrap(),
            server: older,
        };
        let mut dumping = options(&bench.database.target);
        dumping.places = places.clone();
        dumping.jobs = Some(3);
        let archive = bench.try_backup(&dumping).await.unwrap();
        assert_eq!(archive.major(), major);
        let target = newer.scratch.target(&format!("from_{major}")).unwrap();
        let mut options = restore_options(&target, bench.folder.path());
        options.places = places.clone();
        let restored = bench.restore(&archive, &options).await.unwrap();
        assert!(restored.database.is_some(), "{:#?}", restored.findings);
        let session = af_db::pg::connect::open(&target, &silent).await.unwrap();
        let rows = server::rows(&session, "SELECT count(*) FROM shop.orders").await;
        assert_eq!(rows, [["1000"]]);
    }
}
