//! The whole matrix: each way to be interrupted, at each boundary between the statements of both kinds of file.

use af_db::catalog::{Catalog, Scope, read};
use af_db::diff;
use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::session::Session;
use af_db::pg::target::Target;
use af_db::sql::safe::Sql;

use crate::support::project::{CommandOutput, Project};
use crate::support::proxy::Proxy;
use crate::support::server;
use crate::support::tcp_server::TcpServer;

/// How a run is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// The program is killed.
    Client,
    /// Its server process is ended.
    Terminated,
    /// Its server process is killed, and the server with it starts again.
    Killed,
    /// The server is shut down at once.
    Shutdown,
    /// The network is cut.
    Cut,
}

/// The statements of a file.
const STATEMENTS: usize = 10;

/// What each gate stops at: the statement of its number, before it has done anything. The last one is shut behind the
/// tenth statement, before what is recorded of it.
const GATES: &str = "
CREATE SCHEMA test;
CREATE TABLE test.shut (at int);
CREATE FUNCTION test.gate(place int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('application_name', 'gate ' || place, false);
  WHILE EXISTS (SELECT FROM test.shut WHERE at = place) LOOP
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN place;
END $$;
CREATE TABLE done (place int);
CREATE FUNCTION test.last() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM test.gate(11); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER last AFTER INSERT ON done DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.place = 10) EXECUTE FUNCTION test.last();
CREATE TABLE old (id int);
CREATE INDEX old_id ON old (id);
";

/// The tables that are locked to stop a statement which no gate can be put into.
fn held(header: &str, place: usize) -> Option<&'static str> {
    match place {
        6 if !header.is_empty() => Some("old"),
        8 if !header.is_empty() => Some("t"),
        _ => None,
    }
}

fn file(header: &str) -> String {
    let done = |place: usize| format!("INSERT INTO done SELECT test.gate({place});\n");
    let (six, eight) = if header.is_empty() {
        (
            "CREATE MATERIALIZED VIEW m AS SELECT test.gate(6) AS id;\n",
            "DO $$ BEGIN PERFORM test.gate(8); CREATE INDEX t_id ON t (id); END $$;\n",
        )
    } else {
        (
            "DROP INDEX CONCURRENTLY old_id;\n",
            "CREATE INDEX CONCURRENTLY t_id ON t (id);\n",
        )
    };
    let statements = [
        done(1),
        "CREATE TABLE t AS SELECT test.gate(2) AS id;\n".to_owned(),
        done(3),
        "ALTER TABLE t ADD COLUMN b int DEFAULT test.gate(4);\n".to_owned(),
        done(5),
        six.to_owned(),
        done(7),
        eight.to_owned(),
        done(9),
        done(10),
    ];
    assert_eq!(statements.len(), STATEMENTS);
    format!("{header}{}", statements.concat())
}

/// A database with its project.
struct Stage {
    target: Target,
    project: Project,
    proxy: Proxy,
}

async fn session(target: &Target) -> Session {
    connect::open(target, &silent).await.expect("a session")
}

/// Waits until a server that recovers from a crash answers.
async fn awake(target: &Target) {
    loop {
        if let Ok(session) = connect::open(target, &silent).await
            && session.run(&Sql::new("SELECT 1")).await.is_ok()
        {
            return;
        }
    }
}

async fn run(target: &Target, sql: &str) {
    let ran = session(target).await.run(&Sql::written_by_user(sql)).await;
    ran.unwrap_or_else(|error| panic!("{error:#}\n{sql}"));
}

async fn stage(server: &TcpServer, name: &str, header: &str) -> Stage {
    run(
        &server.socket(),
        &format!("CREATE DATABASE {name} TEMPLATE gates"),
    )
    .await;
    let target = server.socket().with_database(name);
    let proxy = Proxy::start(&target);
    let project = Project::of(&proxy.target());
    project.write("migrations/V1__a.sql", file(header));
    project.write("migrations/V2__b.sql", "CREATE TABLE b (id int);");
    Stage {
        target,
        project,
        proxy,
    }
}

async fn catalog(target: &Target) -> Catalog {
    let session = session(target).await;
    read::read(&session, &Scope::whole())
        .await
        .expect("the catalog")
}

/// Waits until the run stands at a gate or before a lock, and gives its server process.
async fn arrived(watcher: &Session, database: &str, place: usize) -> i32 {
    let question = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND state = 'active' AND (application_name = 'gate {place}' \
         OR wait_event_type = 'Lock' AND query ~ 'INDEX CONCURRENTLY')"
    );
    loop {
        let rows = server::rows(watcher, &question).await;
        if let Some(row) = rows.first() {
            return row[0].parse().expect("a process id");
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Cuts a run off at a place, in its own way; gives the server, and what the run said where it lived to say it.
async fn cut(
    server: TcpServer,
    stage: &Stage,
    (death, header, place): (Death, &str, usize),
) -> (TcpServer, Option<CommandOutput>) {
    let watcher = session(&server.socket()).await;
    let holder = session(&stage.target).await;
    let mut child;
    if let Some(table) = held(header, place) {
        // The table of a statement further down is there only when the one before has run.
        child = match table {
            "t" => {
                run(
                    &stage.target,
                    &format!("INSERT INTO test.shut VALUES ({})", place - 1),
                )
                .await;
                let child = stage.project.start(&["up"]);
                arrived(&watcher, stage.target.database(), place - 1).await;
                hold(&holder, table).await;
                run(&stage.target, "DELETE FROM test.shut").await;
                child
            }
            _ => {
                hold(&holder, table).await;
                stage.project.start(&["up"])
            }
        };
    } else {
        run(
            &stage.target,
            &format!("INSERT INTO test.shut VALUES ({place})"),
        )
        .await;
        child = stage.project.start(&["up"]);
    }
    let pid = arrived(&watcher, stage.target.database(), place).await;
    match death {
        Death::Client => {
            child.start_kill().expect("it can be killed");
            child.wait().await.expect("it ends");
            return (server, None);
        }
        Death::Terminated => {
            let ended = format!("SELECT pg_terminate_backend({pid})");
            watcher
                .run(&Sql::written_by_user(&ended))
                .await
                .expect("it is ended");
        }
        Death::Killed => {
            let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL)
                .expect("it is killed");
            let ran = stage.project.ended(child).await;
            // Until the server has noticed it lets people in, only to throw them out.
            while !watcher.is_closed() {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            awake(&stage.target).await;
            return (server, Some(ran));
        }
        Death::Shutdown => {
            let server = server.crash();
            let ran = stage.project.ended(child).await;
            return (server.start().await, Some(ran));
        }
        Death::Cut => stage.proxy.cut(),
    }
    (server, Some(stage.project.ended(child).await))
}

async fn hold(holder: &Session, table: &str) {
    let lock = format!("BEGIN; LOCK TABLE {table} IN ROW EXCLUSIVE MODE");
    holder
        .run(&Sql::written_by_user(&lock))
        .await
        .expect("the table is held");
}

async fn matrix(death: Death, header: &str) {
    let mut server = TcpServer::prepare().await.start().await;
    run(&server.socket(), "CREATE DATABASE gates TEMPLATE template0").await;
    run(&server.socket().with_database("gates"), GATES).await;
    let calm = stage(&server, "calm", header).await;
    calm.project.run(&["up"]).await.ok();
    let expected = catalog(&calm.target).await;
    for place in 1..=STATEMENTS + 1 {
        let stage = stage(&server, &format!("cut_{place}"), header).await;
        let ran;
        (server, ran) = cut(server, &stage, (death, header, place)).await;
        if let Some(ran) = ran {
            judge(&ran, header, place);
        }
        stage.proxy.restore();
        run(&stage.target, "DELETE FROM test.shut").await;
        let again = stage.project.run(&["up"]).await;
        assert_eq!(again.status, 0, "{death:?} {place}: {}", again.seen());
        if !header.is_empty() && place > 1 {
            let goes_on = format!("continuing with statement {}", done_before(place) + 1);
            assert!(again.stderr.contains(&goes_on), "{place}: {}", again.seen());
        }
        let session = session(&stage.target).await;
        let done = server::rows(&session, "SELECT place FROM done ORDER BY 1").await;
        let once: Vec<Vec<String>> = [1, 3, 5, 7, 9, 10]
            .iter()
            .map(|place| vec![place.to_string()])
            .collect();
        assert_eq!(done, once, "{death:?} {place}: each once");
        let now = catalog(&stage.target).await;
        let changes = diff::between(&expected, &now);
        assert!(changes.is_empty(), "{death:?} {place}: {changes:?}");
        stage.project.run(&["status", "--check"]).await.ok();
        stage.project.run(&["history", "--verify"]).await.ok();
    }
}

/// Returns how many statements are done when a run is interrupted at a place; at the last one, the tenth is not recorded.
fn done_before(place: usize) -> usize {
    (place - 1).min(STATEMENTS - 1)
}

fn count(statements: usize) -> String {
    match statements {
        1 => "1 statement".to_owned(),
        number => format!("{number} statements"),
    }
}

/// Insists that the run that was interrupted says what stays, and what to do.
fn judge(ran: &CommandOutput, header: &str, place: usize) {
    let seen = ran.seen();
    assert!(
        seen.contains("the connection was lost: "),
        "{place}: {seen}"
    );
    let alone = held(header, place).is_some();
    let (status, what, hint) = match (header.is_empty() || place == 1, alone) {
        (true, _) => (
            2,
            "V1__a.sql was rolled back; nothing was applied".to_owned(),
            "hint: run af-db up again\n",
        ),
        (false, true) => (
            3,
            format!(
                "stopped in migrations/V1__a.sql after {}; the outcome of the next statement is unknown",
                count(done_before(place))
            ),
            "hint: run the command again: it checks the catalog whether this statement took effect",
        ),
        (false, false) => (
            3,
            format!(
                "stopped in migrations/V1__a.sql after {}: ",
                count(done_before(place))
            ),
            "hint: run af-db up again to continue after the completed statements\n",
        ),
    };
    assert_eq!(ran.status, status, "{place}: {seen}");
    assert!(seen.contains(&what), "{place}: {what}: {seen}");
    assert!(seen.contains(hint), "{place}: {hint}: {seen}");
}

const ALONE: &str = "-- af-db: no-transaction\n";

#[tokio::test]
async fn a_killed_client_in_a_transaction() {
    matrix(Death::Client, "").await;
}

#[tokio::test]
async fn a_killed_client_outside_a_transaction() {
    matrix(Death::Client, ALONE).await;
}

#[tokio::test]
async fn an_ended_server_process_in_a_transaction() {
    matrix(Death::Terminated, "").await;
}

#[tokio::test]
async fn an_ended_server_process_outside_a_transaction() {
    matrix(Death::Terminated, ALONE).await;
}

#[tokio::test]
async fn a_killed_server_process_in_a_transaction() {
    matrix(Death::Killed, "").await;
}

#[tokio::test]
async fn a_killed_server_process_outside_a_transaction() {
    matrix(Death::Killed, ALONE).await;
}

#[tokio::test]
async fn a_server_shut_down_at_once_in_a_transaction() {
    matrix(Death::Shutdown, "").await;
}

#[tokio::test]
async fn a_server_shut_down_at_once_outside_a_transaction() {
    matrix(Death::Shutdown, ALONE).await;
}

#[tokio::test]
async fn a_cut_network_in_a_transaction() {
    matrix(Death::Cut, "").await;
}

#[tokio::test]
async fn a_cut_network_outside_a_transaction() {
    matrix(Death::Cut, ALONE).await;
}
