//! Readers who are not there, go away, are slow or stand still.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use crate::support::project::Project;
use crate::support::server::{self, Database};

/// No test waits longer for what must happen by itself.
const LIMIT: Duration = Duration::from_secs(90);

async fn within<T>(what: &str, happens: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, happens).await {
        Ok(value) => value,
        Err(_) => panic!("{what} does not happen"),
    }
}

/// A project with a migration that says more than a pipe and the queue of the program hold.
async fn talkative(lines: u32) -> (Database, Project) {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__t.sql",
        format!(
            "CREATE TABLE t (id bigint PRIMARY KEY);\nDO $$ BEGIN FOR i IN 1..{lines} LOOP RAISE NOTICE '%', repeat('x', 1000); END LOOP; END $$;\nALTER TABLE t ADD COLUMN b integer;\n"
        ),
    );
    project.write("migrations/V1__t.down.sql", "DROP TABLE t;\n");
    (database, project)
}

/// Counts what is open in a transaction.
const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'";

async fn open_transactions(database: &Database) -> String {
    database.one(OPEN).await
}

async fn until(database: &Database, sql: &str, expected: &str) {
    let waiting = async {
        while database.one(sql).await != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(sql, waiting).await;
}

#[tokio::test]
async fn a_verbose_command_ends_whatever_becomes_of_standard_error() {
    let (database, project) = talkative(20).await;
    let scripts = [
        r#"exec "$0" "$@" 2>&-"#,
        r#"exec "$0" "$@" 2>/dev/full"#,
        r#"exec "$0" "$@" 2>&1 >/dev/null </dev/null"#,
        r#"exec 3>&1; { "$0" "$@" 2>&1 >&3; echo $? >status; } | true; exit $(cat status)"#,
        r#"exec 3>&1; { "$0" "$@" 2>&1 >&3; echo $? >status; } | { sleep 0.3; cat >/dev/null; }; exit $(cat status)"#,
    ];
    for script in scripts {
        for arguments in [&["up", "-v"][..], &["down", "-v", "--yes"]] {
            let ran = project.script(script, arguments);
            let ran = within(script, ran.run()).await.expect("the shell runs");
            assert_eq!(
                ran.status.code(),
                Some(0),
                "{script} {arguments:?} {}",
                ran.stderr
            );
            assert_eq!(
                open_transactions(&database).await,
                "0",
                "{script} {arguments:?}"
            );
        }
    }
    project.run(&["up"]).await.ok();
    let slow = ["validate", "-v"];
    let written = ["manifest", "write", "-v"];
    let backup = ["backup", "-v"];
    let drill = ["restore", "--drill", "-v"];
    for arguments in [&written[..], &slow, &backup, &drill] {
        let ran = project.script(scripts[0], arguments).run();
        let ran = within("the end", ran).await.expect("the shell runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(
            ran.status.code().is_some_and(|status| status < 2),
            "{arguments:?} {said}"
        );
    }
}

#[tokio::test]
async fn a_reader_of_the_log_who_stands_still_does_not_hold_the_transaction() {
    let (database, project) = talkative(5000).await;
    let mut child = project.start(&["up", "-v"]);
    // Nobody reads standard error; the run ends all the same.
    let status = within("the end of the run", child.wait())
        .await
        .expect("it ends");
    assert_eq!(status.code(), Some(0));
    assert_eq!(open_transactions(&database).await, "0");
    assert_eq!(database.one("SELECT count(*) FROM t").await, "0");
    drop(child.stderr.take());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_that_stands_still_does_not_hold_the_transaction() {
    let (database, project) = talkative(5000).await;
    let command = format!("{} up -v", env!("CARGO_BIN_EXE_af-db"));
    let terminal = project.script(r#"exec script -qec "$1" /dev/null"#, &[&command]);
    let terminal = terminal.env("SHELL", "/bin/sh");
    let mut child = terminal.start().expect("script runs");
    // Nobody reads the screen, so that nothing more can be written to it.
    let applied = "SELECT (to_regclass('public.t') IS NOT NULL)::text";
    until(&database, applied, "true").await;
    until(&database, OPEN, "0").await;
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    until(&database, locks, "0").await;
    let mut seen = Vec::new();
    let mut screen = child.stdout.take().expect("a screen");
    let read = screen.read_to_end(&mut seen);
    within("the end of the screen", read)
        .await
        .expect("the screen");
    let status = within("the end of script", child.wait())
        .await
        .expect("it ends");
    assert_eq!(status.code(), Some(0));
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(
        seen.contains("applied 1 migration"),
        "{}",
        &seen[seen.len() - 500..]
    );
}

#[cfg(unix)]
#[tokio::test]
async fn an_answer_that_nobody_reads_holds_nothing_and_can_be_interrupted() {
    use rustix::process::{Pid, Signal, kill_process};

    let database = server::database().await;
    let project = Project::of(&database.target);
    // More than a pipe holds.
    project.write(
        "migrations/V1__long.sql",
        format!("SELECT '{}';\n", "x".repeat(300_000)),
    );
    project.write("migrations/V1__long.down.sql", "SELECT 1;\n");
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = project.start(&["plan", "--json"]);
        let mut begin = [0];
        let answer = child.stdout.as_mut().expect("an answer");
        within("an answer", answer.read_exact(&mut begin))
            .await
            .expect("it begins");
        assert_eq!(open_transactions(&database).await, "0");
        let id = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(id.expect("it runs"), signal).expect("a signal");
        let status = within("the end", child.wait()).await.expect("it ends");
        assert_eq!(status.code(), Some(130));
    }
}
