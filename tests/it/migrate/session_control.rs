//! Files that end transactions themselves, and files that would take the migration lock or the session from the run.
//!
//! What psql leaves of a file is the measure: the same is left, or the file is refused and nothing has changed.

use std::path::Path;

use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::program::Program;
use af_db::sql::safe::Sql;

use crate::support::packages;
use crate::support::project::Project;
use crate::support::server::{self, Database};
use crate::support::tcp_server::TcpServer;

/// What every file finds.
const BEFORE: &str = "CREATE TABLE t (id int); INSERT INTO t VALUES (1); \
    CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (8); COMMIT; INSERT INTO t VALUES (9); ROLLBACK; END $$;";

/// Everything a file of the table can leave: tables, rows, prepared transactions.
const LEFT: &str = "SELECT 'table ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' \
    AND relname <> 'refinery_schema_history' UNION ALL SELECT 'row ' || id FROM t UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts \
    WHERE database = current_database() ORDER BY 1";

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It leaves what psql leaves, and is recorded.
    Same,
    /// It is refused and has changed nothing.
    Refused,
    /// It leaves what psql leaves, which stops in the middle as well.
    Stops,
}

const FILES: &[(&str, Fate)] = &[
    (
        "BEGIN; INSERT INTO t VALUES (2); DROP TABLE t; ROLLBACK;",
        Fate::Same,
    ),
    ("BEGIN; INSERT INTO t VALUES (2); ABORT;", Fate::Same),
    (
        "begin work; INSERT INTO t VALUES (2); rollback work;",
        Fate::Same,
    ),
    (
        "START TRANSACTION; INSERT INTO t VALUES (2); ROLLBACK TRANSACTION;",
        Fate::Same,
    ),
    ("BEGIN; INSERT INTO t VALUES (2); COMMIT;", Fate::Same),
    (
        "BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO t VALUES (2); END;",
        Fate::Same,
    ),
    (
        "START TRANSACTION; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; INSERT INTO t VALUES (2); END WORK;",
        Fate::Same,
    ),
    (
        "INSERT INTO t VALUES (2); BEGIN; INSERT INTO t VALUES (3); ROLLBACK; INSERT INTO t VALUES (4);",
        Fate::Same,
    ),
    (
        "BEGIN; INSERT INTO t VALUES (2); SAVEPOINT a; INSERT INTO t VALUES (3); ROLLBACK TO a; COMMIT;",
        Fate::Same,
    ),
    (
        "BEGIN; SAVEPOINT a; INSERT INTO t VALUES (3); RELEASE SAVEPOINT a; ROLLBACK;",
        Fate::Same,
    ),
    (
        "BEGIN READ ONLY; SELECT count(*) FROM t; COMMIT; INSERT INTO t VALUES (2);",
        Fate::Same,
    ),
    (
        "BEGIN; SET TRANSACTION READ ONLY; SELECT count(*) FROM t; COMMIT;",
        Fate::Same,
    ),
    (
        "BEGIN; SET LOCAL search_path = pg_catalog; COMMIT; INSERT INTO t VALUES (2);",
        Fate::Same,
    ),
    (
        "BEGIN; SET search_path = pg_catalog; ROLLBACK; INSERT INTO t VALUES (2);",
        Fate::Same,
    ),
    (
        "SET default_transaction_isolation = serializable; INSERT INTO t VALUES (2); VACUUM t;",
        Fate::Same,
    ),
    ("CALL twice();", Fate::Same),
    (
        "DO $$ BEGIN INSERT INTO t VALUES (2); COMMIT; INSERT INTO t VALUES (3); ROLLBACK; END $$;",
        Fate::Same,
    ),
    ("DO $$ BEGIN CALL twice(); END $$;", Fate::Same),
    (
        "BEGIN; INSERT INTO t VALUES (2); COMMIT AND NO CHAIN;",
        Fate::Same,
    ),
    ("BEGIN; SELECT nothing; ROLLBACK;", Fate::Stops),
    (
        "INSERT INTO t VALUES (2); BEGIN; INSERT INTO t VALUES (3); SELECT nothing; COMMIT;",
        Fate::Stops,
    ),
    ("BEGIN; INSERT INTO t VALUES (2);", Fate::Refused),
    (
        "INSERT INTO t VALUES (2); START TRANSACTION; DROP TABLE t;",
        Fate::Refused,
    ),
    (
        "BEGIN; BEGIN; INSERT INTO t VALUES (2); COMMIT;",
        Fate::Refused,
    ),
    (
        "BEGIN; INSERT INTO t VALUES (2); COMMIT; COMMIT;",
        Fate::Refused,
    ),
    ("INSERT INTO t VALUES (2); ROLLBACK;", Fate::Refused),
    ("SAVEPOINT a; INSERT INTO t VALUES (2);", Fate::Refused),
    (
        "BEGIN; INSERT INTO t VALUES (2); COMMIT AND CHAIN; INSERT INTO t VALUES (3); ROLLBACK;",
        Fate::Refused,
    ),
    (
        "BEGIN; INSERT INTO t VALUES (2); ROLLBACK AND CHAIN; INSERT INTO t VALUES (3); COMMIT;",
        Fate::Refused,
    ),
    (
        "BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'x';",
        Fate::Refused,
    ),
    (
        "BEGIN; INSERT INTO t VALUES (2); prepare /* */ transaction 'x'; COMMIT PREPARED 'x';",
        Fate::Refused,
    ),
    ("BEGIN; VACUUM t; COMMIT;", Fate::Refused),
    ("INSERT INTO t VALUES (2); DISCARD ALL;", Fate::Refused),
    (
        "INSERT INTO t VALUES (2); SELECT pg_advisory_unlock_all();",
        Fate::Refused,
    ),
    (
        "SELECT pg_advisory_unlock(107091476111873); INSERT INTO t VALUES (2);",
        Fate::Refused,
    ),
    (
        "SET default_transaction_read_only = on; SELECT 1;",
        Fate::Same,
    ),
];

async fn psql(database: &Database, file: &Path) -> i32 {
    let host = &database.target.hosts[0];
    let program = match packages::clients() {
        Some(clients) => clients.directory.join("psql"),
        None => Path::new("psql").to_owned(),
    };
    let tool = Program::new(program).args([
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        &host.name,
        "-p",
        &host.port.to_string(),
        "-U",
        "postgres",
        "-d",
        &database.name,
        "-f",
        &file.display().to_string(),
    ]);
    tool.run()
        .await
        .expect("psql runs")
        .status
        .code()
        .unwrap_or(-1)
}

#[tokio::test]
async fn a_file_that_ends_transactions_leaves_what_psql_leaves_or_is_refused() {
    for (text, fate) in FILES {
        let (ours, theirs) = (server::database().await, server::database().await);
        ours.run(BEFORE).await;
        theirs.run(BEFORE).await;
        let before = ours.rows(LEFT).await;
        let project = Project::of(&ours.target);
        project.write(
            "migrations/V1__x.sql",
            format!("-- af-db: no-transaction\n{text}\n"),
        );
        let ran = project.run(&["up"]).await;
        let left = ours.rows(LEFT).await;
        let recorded = ours
            .one("SELECT to_regclass('refinery_schema_history') IS NOT NULL")
            .await
            == "t"
            && ours
                .one("SELECT count(*) FROM refinery_schema_history")
                .await
                == "1";
        assert_eq!(recorded, *fate == Fate::Same, "{text}\n{}", ran.seen());
        if *fate == Fate::Refused {
            assert_eq!(ran.status, 4, "{text}\n{}", ran.seen());
            assert_eq!(left, before, "{text}\n{}", ran.seen());
            continue;
        }
        let file = project.folder.path().join("migrations/V1__x.sql");
        let status = psql(&theirs, &file).await;
        assert_eq!(status == 0, ran.status == 0, "{text}\n{}", ran.seen());
        assert_eq!(left, theirs.rows(LEFT).await, "{text}\n{}", ran.seen());
        project.run(&["history", "--verify"]).await.ok();
    }
}

#[tokio::test]
async fn a_file_within_a_transaction_may_not_end_it_in_any_spelling() {
    let database = server::database().await;
    database.run(BEFORE).await;
    for text in [
        "BEGIN",
        "start transaction isolation level serializable",
        "COMMIT",
        "End Work",
        "ROLLBACK",
        "abort /* now */ transaction",
        "COMMIT AND CHAIN",
        "PREPARE TRANSACTION 'x'",
        "COMMIT PREPARED 'x'",
        "ROLLBACK PREPARED 'x'",
        "DO $$ BEGIN COMMIT; END $$",
        "DISCARD ALL",
        "SELECT pg_advisory_unlock_all()",
        "DO $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$",
        "CALL twice()",
        "DO $$ BEGIN EXECUTE 'COMMIT'; END $$",
        "DO $$ BEGIN CALL twice(); END $$",
    ] {
        let project = Project::of(&database.target);
        project.write(
            "migrations/V1__x.sql",
            format!("INSERT INTO t VALUES (2);\n{text};\nINSERT INTO t VALUES (3);\n"),
        );
        let ran = project.run(&["up"]).await;
        assert!(matches!(ran.status, 2 | 4), "{text}\n{}", ran.seen());
        assert_eq!(
            database.rows(LEFT).await,
            [["row 1"], ["table t"]],
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_prepared_transaction_of_another_session_can_be_ended_and_none_is_left_behind() {
    let server = TcpServer::prepare()
        .await
        .setting("max_prepared_transactions=5");
    let server = server.start().await;
    let project = Project::of(&server.target("sslmode=disable"));
    let session = connect::open(&server.socket(), &silent)
        .await
        .expect("a session");
    let theirs =
        "CREATE TABLE t (id int); BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'theirs'";
    session
        .run(&Sql::new(theirs))
        .await
        .expect("it is prepared");
    project.write(
        "migrations/V1__x.sql",
        "-- af-db: no-transaction\nCOMMIT PREPARED 'theirs';\n",
    );
    project.run(&["up"]).await.ok();
    assert_eq!(server::rows(&session, LEFT).await, [["row 2"], ["table t"]]);
    for text in [
        "PREPARE TRANSACTION 'ours';",
        "-- af-db: no-transaction\nBEGIN; INSERT INTO t VALUES (3); PREPARE TRANSACTION 'ours';",
        "-- af-db: no-transaction\nPREPARE TRANSACTION 'ours';",
    ] {
        project.write("migrations/V2__y.sql", text);
        assert_eq!(project.run(&["up"]).await.status, 4, "{text}");
        assert_eq!(
            server::rows(&session, LEFT).await,
            [["row 2"], ["table t"]],
            "{text}"
        );
    }
}

/// What gives the lock away where no text of the file shows it.
const RELEASES: &str = "CREATE TABLE t (id int); \
    CREATE FUNCTION harmless() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT pg_advisory_' || 'unlock_all()'; RETURN 1; END $$; \
    CREATE PROCEDURE quiet() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (5); PERFORM harmless(); COMMIT; END $$;";

#[tokio::test]
async fn a_lock_released_by_a_function_stops_the_run() {
    let check = async |header: &str, text: &str, status: i32, left: &[&str], said: &str| {
        let database = server::database().await;
        database.run(RELEASES).await;
        let project = Project::of(&database.target);
        project.write("migrations/V1__x.sql", format!("{header}{text}"));
        project.write("migrations/V2__y.sql", "INSERT INTO t VALUES (99);");
        let ran = project.run(&["up"]).await;
        assert_eq!(ran.status, status, "{text}\n{}", ran.seen());
        assert!(
            ran.stderr.contains("the migration lock was released"),
            "{text}\n{}",
            ran.seen()
        );
        assert!(ran.stderr.contains(said), "{text}\n{}", ran.seen());
        let rows = database.rows("SELECT id FROM t ORDER BY 1").await;
        let rows: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(rows, left, "{text}\n{}", ran.seen());
        project.run(&["history", "--verify"]).await.ok();
    };
    const ALONE: &str = "-- af-db: no-transaction\n";
    check(
        "",
        "INSERT INTO t SELECT harmless();",
        2,
        &[],
        "remove the call",
    )
    .await;
    check(
        "",
        "DO $$ BEGIN PERFORM harmless(); END $$;",
        2,
        &[],
        "rolled back",
    )
    .await;
    check(
        ALONE,
        "INSERT INTO t VALUES (1); INSERT INTO t SELECT harmless(); INSERT INTO t VALUES (2);",
        3,
        &["1"],
        "after 1 statement:",
    )
    .await;
    check(
        ALONE,
        "BEGIN; SELECT harmless(); ROLLBACK; INSERT INTO t VALUES (2);",
        2,
        &[],
        "remove the call",
    )
    .await;
    check(
        ALONE,
        "INSERT INTO t VALUES (1); CALL quiet(); INSERT INTO t VALUES (2);",
        3,
        &["1", "5"],
        "--as done",
    )
    .await;
}

#[tokio::test]
async fn a_released_lock_never_lets_two_runs_apply_one_file() {
    let database = server::database().await;
    database.run(RELEASES).await;
    let project = Project::of(&database.target);
    project.write("migrations/V1__n.sql", "CREATE TABLE n (id int);");
    project.run(&["up"]).await.ok();
    project.write(
        "migrations/V2__x.sql",
        "-- af-db: no-transaction\nSELECT harmless();\nINSERT INTO n SELECT 1 FROM pg_sleep(0.2);\nINSERT INTO n VALUES (2);\n",
    );
    let runs = (0..3).map(|_| project.run(&["up", "--wait", "30s"]));
    for ran in futures_util::future::join_all(runs).await {
        assert_ne!(ran.status, 0, "{}", ran.seen());
    }
    assert_eq!(database.one("SELECT count(*) FROM n").await, "0");
    project.run(&["history", "--verify"]).await.ok();
}

#[tokio::test]
async fn roles_and_timeouts_of_a_file_do_not_reach_the_record() {
    let server = server::own(None).await;
    for header in ["", "-- af-db: no-transaction\n"] {
        let database = server.database().await;
        database
            .run("DO $$ BEGIN CREATE ROLE weak; EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT CREATE ON SCHEMA public TO weak")
            .await;
        let project = Project::of(&database.target);
        project.write(
            "migrations/V1__x.sql",
            format!(
                "{header}SET ROLE weak;\nCREATE TABLE a (id int);\nSET SESSION AUTHORIZATION weak;\nCREATE TABLE b (id int);\n\
                 SET idle_in_transaction_session_timeout = 1;\nSET statement_timeout = '30s';\nSET lock_timeout = 1;\nLISTEN x;\nCREATE TABLE c (id int);\n"
            ),
        );
        project.write("migrations/V2__y.sql", "CREATE TABLE d AS SELECT current_user AS me, current_setting('lock_timeout') AS wait, (SELECT count(*) FROM pg_listening_channels()) AS channels;");
        project.run(&["up"]).await.ok();
        assert_eq!(
            database
                .one("SELECT string_agg(DISTINCT tableowner, ' ') FROM pg_tables WHERE tablename IN ('a', 'b', 'c')")
                .await,
            "weak"
        );
        assert_eq!(
            database.rows("SELECT me, channels FROM d").await,
            [["postgres", "0"]]
        );
    }
}

#[tokio::test]
async fn short_timeouts_of_a_database_do_not_stop_the_record() {
    let database = server::database().await;
    for setting in [
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
    ] {
        database
            .run(&format!(
                "ALTER DATABASE {} SET {setting} = 5",
                database.name
            ))
            .await;
    }
    let project = Project::of(&database.target);
    // The files have time of their own: only what is ours is left to the database's limits.
    let table = "CREATE TABLE a AS SELECT pg_sleep(0.1)::text AS slept, current_setting('statement_timeout') AS patience;";
    project.write(
        "migrations/V1__a.sql",
        format!("-- af-db: timeout 1min\n{table}\n"),
    );
    project.write(
        "migrations/V2__b.sql",
        "-- af-db: no-transaction\n-- af-db: timeout 1min\nINSERT INTO a SELECT pg_sleep(0.1)::text;\nVACUUM a;\n",
    );
    project.write("migrations/V3__c.sql", "SELECT pg_sleep(10);");
    let ran = project.run(&["up"]).await;
    assert_eq!(ran.status, 3, "{}", ran.seen());
    let said = &ran.stderr;
    assert!(
        said.contains("V3__c.sql was rolled back") && said.contains("statement timeout"),
        "{}",
        ran.seen()
    );
    project.run(&["status"]).await.ok();
    project.run(&["history", "--verify"]).await.ok();
}

#[tokio::test]
async fn a_file_of_the_old_string_dialect_runs_as_psql_runs_it() {
    for header in ["", "-- af-db: no-transaction\n"] {
        let (ours, theirs) = (server::database().await, server::database().await);
        let project = Project::of(&ours.target);
        project.write(
            "migrations/V1__x.sql",
            format!(
                "{header}CREATE TABLE w (word text);\nINSERT INTO w VALUES ('a\\');\nSET standard_conforming_strings = off;\nSET escape_string_warning = off;\n\
                 INSERT INTO w VALUES ('it\\'s; \\\\');\nSELECT set_config('standard_conforming_strings', 'on', false);\nINSERT INTO w VALUES ('b\\');\n"
            ),
        );
        project.run(&["up"]).await.ok();
        let file = project.folder.path().join("migrations/V1__x.sql");
        assert_eq!(psql(&theirs, &file).await, 0);
        let words = "SELECT word FROM w ORDER BY 1";
        assert_eq!(ours.rows(words).await, theirs.rows(words).await);
        project.run(&["history", "--verify"]).await.ok();
    }
}

#[tokio::test]
async fn a_server_without_room_is_not_the_files_fault() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__x.sql",
        "DO $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;",
    );
    let ran = project.run(&["up"]).await;
    assert_eq!(ran.status, 2, "{}", ran.seen());
    assert!(
        ran.stderr
            .contains("hint: the server's disk is full; free space and run the command again"),
        "{}",
        ran.seen()
    );
    assert!(!ran.stderr.contains("fix "), "{}", ran.seen());
}

#[tokio::test]
async fn an_unterminated_quote_is_shown_where_the_file_has_it() {
    let database = server::database().await;
    for header in ["", "-- af-db: no-transaction\n"] {
        let project = Project::of(&database.target);
        project.write(
            "migrations/V1__x.sql",
            format!("{header}SELECT 'abc;\nSELECT 2;\n"),
        );
        let ran = project.run(&["up"]).await;
        assert_eq!(ran.status, 4, "{}", ran.seen());
        assert!(
            ran.seen().contains("this string is never closed"),
            "{}",
            ran.seen()
        );
    }
}

#[tokio::test]
async fn a_heartbeat_shows_the_statement_of_the_file() {
    let shown = async |text: &str, said: &str| {
        let database = server::database().await;
        let project = Project::of(&database.target);
        project.write("migrations/V1__x.sql", text);
        let ran = project.run(&["up"]).await.ok();
        assert!(ran.stderr.contains(said), "{}", ran.seen());
        assert!(!ran.stderr.contains("lock_timeout"), "{}", ran.seen());
    };
    futures_util::future::join(
        shown(
            "SELECT pg_sleep(6.5) AS slow;\n",
            "SELECT pg_sleep(6.5) AS slow, ",
        ),
        shown(
            "SELECT 1;\nSELECT pg_sleep(6.5);\n",
            "migrations/V1__x.sql, one of statements 1 to 2, ",
        ),
    )
    .await;
}
