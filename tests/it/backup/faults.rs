//! Whatever is killed or cut midway: no half archive, the old database as it was, nothing left behind.

use std::time::Duration;

use af_db::backup::archive::Archive;
use af_db::backup::dump;
use af_db::backup::restore::{self, Destination};
use af_db::error::{Exit, exit_of};
use af_db::event::{Interrupt, silent};
use af_db::pg::child_server::{ShutdownMode, signal};
use af_db::pg::program::Program;

use super::{Bench, options};
use crate::support::proxy::Proxy;

/// A bench with enough rows that there is a midway, reached over a slow line.
async fn slow_bench() -> (Bench, Proxy) {
    let bench = Bench::full().await;
    bench
        .database
        .run("CREATE TABLE shop.big AS SELECT n, repeat(md5(n::text), 8) AS text FROM generate_series(1, 20000) AS n")
        .await;
    let proxy = Proxy::start(&bench.database.target);
    slow_down_midway(&proxy);
    (bench, proxy)
}

/// What comes before the rows is quick, so that whatever measures it has time; the rows take seconds.
fn slow_down_midway(proxy: &Proxy) {
    proxy.slow_from(ROWS, Duration::from_millis(50));
}

/// What is said when the rows of the big table begin.
const ROWS: &str = "COPY shop.big";

/// Waits until the rows of the big table are on their way.
async fn midway(proxy: &Proxy) {
    let seen = async {
        while !proxy
            .statements()
            .iter()
            .any(|statement| statement.contains(ROWS))
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), seen)
        .await
        .expect("the rows should be on their way");
}

/// Kills our own children of this name that talk through this proxy, as the system would when memory runs out.
///
/// All of them: of those that dump parts only the one with the big table is sure to be midway.
fn kill_children(name: &str, proxy: &Proxy) {
    use rustix::process::{Pid, Signal, kill_process};
    let port = format!("PGPORT={}\0", proxy.target().hosts[0].port);
    let parent = format!("PPid:\t{}\n", std::process::id());
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc").expect("processes") {
        let path = entry.expect("a process").path();
        let read = |file: &str| {
            std::fs::read(path.join(file)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let (Ok(status), Ok(environment)) = (read("status"), read("environ")) else {
            continue;
        };
        if status.starts_with(&format!("Name:\t{name}\n"))
            && status.contains(&parent)
            && environment.contains(&port)
        {
            let pid = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok())
                .and_then(Pid::from_raw);
            // One that ends by itself just now is not the one that is midway.
            let _ = kill_process(pid.expect("a process id"), Signal::KILL);
            killed += 1;
        }
    }
    assert!(killed > 0, "no {name} was running");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Tool(&'static str),
    Cut,
    Blackhole,
    Interrupt,
    Server,
}

async fn strike(fault: Fault, bench: &Bench, proxy: &Proxy, interrupt: &Interrupt) {
    midway(proxy).await;
    match fault {
        Fault::Tool(name) => kill_children(name, proxy),
        Fault::Cut => proxy.cut(),
        Fault::Blackhole => proxy.blackhole(),
        Fault::Interrupt => interrupt.raise(),
        Fault::Server => {
            let pid = bench.server.scratch.pid().expect("a server of our own");
            signal(pid, ShutdownMode::Immediate);
        }
    }
    // What is left to do is not what is tried.
    proxy.latency(Duration::ZERO);
}

async fn backup_struck_by(fault: Fault, jobs: Option<u32>) -> anyhow::Error {
    let (bench, proxy) = slow_bench().await;
    let mut options = options(&proxy.target());
    options.jobs = jobs;
    if fault == Fault::Blackhole {
        // Longer than pg_dump needs for its questions before the first byte, also on a machine that is busy.
        options.stall_timeout = Duration::from_secs(8);
    }
    let (store, interrupt) = (bench.store(), Interrupt::default());
    let backup = dump::run(&options, &store, &silent, &interrupt);
    let struck = strike(fault, &bench, &proxy, &interrupt);
    let (made, ()) = tokio::join!(backup, struck);
    let error = made.expect_err("a struck backup fails");
    assert_eq!(
        store.names().expect("a store"),
        [] as [String; 0],
        "{fault:?}"
    );
    let left: Vec<_> = std::fs::read_dir(bench.folder.path().join("store"))
        .expect("a store")
        .collect();
    assert!(left.is_empty(), "{fault:?} left {left:?}");
    error
}

#[tokio::test]
async fn a_backup_reports_every_fault() {
    survives_nothing(None).await;
}

#[tokio::test]
async fn a_parallel_backup_reports_every_fault() {
    survives_nothing(Some(3)).await;
}

async fn survives_nothing(jobs: Option<u32>) {
    let struck_by = |fault| backup_struck_by(fault, jobs);
    // Each has a server and a line of its own, and most of the time goes by waiting.
    let (killed, cut, crashed, silent, interrupted) = tokio::join!(
        struck_by(Fault::Tool("pg_dump")),
        struck_by(Fault::Cut),
        struck_by(Fault::Server),
        struck_by(Fault::Blackhole),
        struck_by(Fault::Interrupt),
    );
    assert!(
        killed.to_string().starts_with("pg_dump ended early"),
        "{killed:#}"
    );
    assert!(
        cut.to_string()
            .contains("pg_dump failed; no backup was made"),
        "{cut:#}"
    );
    assert!(
        crashed.to_string().contains("no backup was made"),
        "{crashed:#}"
    );
    assert!(
        silent.to_string().contains("made no progress"),
        "{silent:#}"
    );
    assert_eq!(exit_of(&interrupted), Exit::Interrupted, "{interrupted:#}");
}

/// Restores in the database's place through the proxy, strikes midway, and gives what the restore says of it.
async fn struck(
    bench: &Bench,
    proxy: &Proxy,
    archive: &Archive,
    interrupt: &Interrupt,
    strike: impl Future<Output = ()>,
) -> anyhow::Error {
    let mut options = bench.restore_options(&bench.database.name);
    options.target = proxy.target();
    options.place = Destination::Swap;
    let store = bench.store();
    let restore = restore::run(&options, &store, &archive.name, &silent, interrupt);
    let (restored, ()) = tokio::join!(restore, strike);
    restored.expect_err("a struck restore fails")
}

async fn restore_struck_by(fault: Fault) {
    let (bench, proxy) = slow_bench().await;
    let archive = bench.backup().await;
    let interrupt = Interrupt::default();
    let strike = async {
        strike(fault, &bench, &proxy, &interrupt).await;
        if fault == Fault::Cut {
            // The line comes back, as lines do; what was made can then be removed.
            tokio::time::sleep(Duration::from_millis(50)).await;
            proxy.restore();
        }
    };
    let error = struck(&bench, &proxy, &archive, &interrupt, strike).await;
    let expected = if fault == Fault::Interrupt {
        Exit::Interrupted
    } else {
        Exit::CannotDo
    };
    assert_eq!(exit_of(&error), expected, "{fault:?}: {error:#}");
    assert_eq!(
        bench.databases().await,
        [bench.database.name.as_str()],
        "{fault:?}"
    );
    assert_eq!(
        bench.database.one("SELECT count(*) FROM shop.big").await,
        "20000"
    );
    let left: Vec<_> = std::fs::read_dir(bench.folder.path())
        .expect("a folder")
        .collect();
    assert_eq!(left.len(), 1, "{fault:?} left {left:?}");
}

/// Kills a session of the server, at which the server throws all others out and starts over.
async fn crash(bench: &Bench) {
    use rustix::process::{Pid, Signal, kill_process};
    let witness = bench.database.session().await;
    // What has passed the proxy is not begun by the server yet.
    let busy = "SELECT COALESCE(min(pid), 0) FROM pg_stat_activity WHERE query LIKE 'COPY shop.big%' AND state = 'active'";
    let pid = loop {
        let pid: i32 = bench.database.one(busy).await.parse().expect("a session");
        if let Some(pid) = Pid::from_raw(pid) {
            break pid;
        }
    };
    kill_process(pid, Signal::KILL).expect("a session of our own server");
    // Until the server has noticed it lets people in, only to throw them out.
    while !witness.is_closed() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_server_crash_keeps_the_old_database_and_the_next_restore_sweeps() {
    let (bench, proxy) = slow_bench().await;
    let archive = bench.backup().await;
    let strike = async {
        midway(&proxy).await;
        crash(&bench).await;
    };
    let error = struck(&bench, &proxy, &archive, &Interrupt::default(), strike).await;
    assert_eq!(exit_of(&error), Exit::CannotDo, "{error:#}");
    let back = async {
        while af_db::pg::connect::open(&bench.database.target, &silent)
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), back)
        .await
        .expect("the server should come back");
    assert_eq!(
        bench.database.one("SELECT count(*) FROM shop.big").await,
        "20000"
    );
    let restored = bench
        .restore(&archive, &bench.restore_options("again"))
        .await
        .expect("a restore after the crash");
    assert_eq!(restored.findings, []);
    assert_eq!(
        bench.databases().await,
        ["again", bench.database.name.as_str()]
    );
}

#[tokio::test]
async fn a_failed_restore_keeps_the_old_database() {
    tokio::join!(
        restore_struck_by(Fault::Tool("pg_restore")),
        restore_struck_by(Fault::Cut),
        restore_struck_by(Fault::Interrupt),
    );
}

/// Waits until the program is midway; one that ends before has something to say.
async fn program_midway(child: &mut tokio::process::Child, proxy: &Proxy) {
    use tokio::io::AsyncReadExt as _;
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("its words");
    tokio::select! {
        () = midway(proxy) => {}
        _ = stderr.read_to_string(&mut said) => panic!("it ended early: {said}"),
    }
}

/// Starts the program itself, to be killed as no destructor can help.
fn program(bench: &Bench, proxy: &Proxy, arguments: &[&str]) -> tokio::process::Child {
    let host = &proxy.target().hosts[0];
    let url = format!(
        "postgres://postgres@{}:{}/{}?sslmode=disable",
        host.name, host.port, bench.database.name
    );
    Program::new(env!("CARGO_BIN_EXE_af-db"))
        .args(arguments)
        .args(["--database-url", &url])
        .env("HOME", bench.folder.path())
        .env("PATH", crate::support::project::path())
        .directory(bench.folder.path())
        .start()
        .expect("the program")
}

#[tokio::test]
async fn a_killed_backup_lists_no_archive_and_is_swept() {
    let (bench, proxy) = slow_bench().await;
    let mut child = program(&bench, &proxy, &["backup", "--to", "store"]);
    program_midway(&mut child, &proxy).await;
    child.kill().await.unwrap();
    assert_eq!(bench.store().names().unwrap(), [] as [String; 0]);
    let folder = bench.folder.path().join("store");
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        1,
        "the remains, not listed"
    );
    let archive = bench.next_backup(&options(&bench.database.target)).await;
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        1,
        "the new one alone"
    );

    proxy.reset();
    slow_down_midway(&proxy);
    let mut child = program(
        &bench,
        &proxy,
        &[
            "restore",
            &archive.name,
            "--from",
            "store",
            "--swap",
            "--yes",
        ],
    );
    program_midway(&mut child, &proxy).await;
    child.kill().await.unwrap();
    assert_eq!(
        bench.database.one("SELECT count(*) FROM shop.big").await,
        "20000"
    );
    let left = bench.databases().await;
    assert!(
        left.iter().any(|name| name.contains("_restoring_")),
        "{left:?}"
    );
    // Its sessions end by themselves, the one that says that it works last; then the next restore removes what it left.
    proxy.cut();
    let own = "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname LIKE '%_restoring_%') + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')";
    while bench.database.one(own).await != "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let restored = bench
        .restore(&archive, &bench.restore_options("again"))
        .await
        .unwrap();
    assert_eq!(restored.findings, []);
    assert_eq!(
        bench.databases().await,
        ["again", bench.database.name.as_str()]
    );
}

#[tokio::test]
async fn a_full_disk_is_reported_and_leaves_nothing() {
    let bench = Bench::full().await;
    bench
        .database
        .run("CREATE TABLE noise AS SELECT n, (SELECT string_agg(md5(random()::text || n || m), '') FROM generate_series(1, 30) AS m) FROM generate_series(1, 8000) AS n")
        .await;
    let host = &bench.database.target.hosts[0];
    let url = format!(
        "host='{}' port={} user=postgres dbname='{}'",
        host.name, host.port, bench.database.name
    );
    // A small disk of its own, seen by this one process and gone with it.
    let script = "mount -t tmpfs -o size=3m none \"$1\" && shift && \"$@\"; status=$?; ls -A small/store; exit $status";
    std::fs::create_dir(bench.folder.path().join("small")).unwrap();
    // Root may mount directly; other users only as root of their own user namespace.
    let is_root = rustix::process::geteuid().is_root();
    let privileges: &[&str] = if is_root {
        &["--mount"]
    } else {
        &["--mount", "--map-root-user"]
    };
    let done = Program::new("/usr/bin/unshare")
        .args(privileges)
        .args(["sh", "-c", script, "sh", "small"])
        .args([
            env!("CARGO_BIN_EXE_af-db"),
            "backup",
            "--to",
            "small/store",
            "--database-url",
            &url,
        ])
        .env("HOME", bench.folder.path())
        .env("PATH", crate::support::project::path())
        .directory(bench.folder.path())
        .run()
        .await
        .unwrap();
    assert_eq!(done.status.code(), Some(2), "{}", done.stderr);
    assert!(
        done.stderr
            .contains("error: the store is full; no backup was made"),
        "{}",
        done.stderr
    );
    assert_eq!(done.text(), "", "nothing is left in the store");
}
