//! What a killed run leaves: settings that are set again, a session that cannot be had again, and indexes, of which only our
//! own are dropped.

use std::time::Duration;

use af_db::pg::session::Session;
use af_db::sql::safe::Sql;

use crate::support::project::{CommandOutput, Project};
use crate::support::server::{self, Database};

async fn run(session: &Session, sql: &str) {
    let ran = session.run(&Sql::written_by_user(sql)).await;
    ran.unwrap_or_else(|error| panic!("{error:#}\n{sql}"));
}

/// Waits until a question is answered with true.
async fn until(database: &Database, question: &str) {
    let session = database.session().await;
    loop {
        if server::rows(&session, question).await == [["t"]] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs statements up to a gate, kills the run there, opens the gate and runs it again.
async fn cut(
    database: &Database,
    before: &str,
    units: usize,
    after: &str,
) -> (Project, CommandOutput) {
    let project = Project::of(&database.target);
    project.write("migrations/V1__gate.sql", "CREATE TABLE gate (id int);");
    project.run(&["up"]).await.ok();
    project.write(
        "migrations/V2__x.sql",
        format!(
            "-- af-db: no-transaction\n{before}\nINSERT INTO public.gate VALUES (1);\n{after}\n"
        ),
    );
    let holder = database.session().await;
    run(&holder, "BEGIN; LOCK TABLE gate").await;
    let mut child = project.start(&["up"]);
    until(
        database,
        &format!("SELECT count(*) = {units} FROM af_db.journal WHERE state = 'unit-done'"),
    )
    .await;
    child.start_kill().expect("it can be killed");
    child.wait().await.expect("it ends");
    run(&holder, "ROLLBACK").await;
    until(
        database,
        "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .await;
    let ran = project.run(&["up"]).await;
    (project, ran)
}

#[tokio::test]
async fn settings_lost_by_an_interruption_are_restored() {
    for (before, units) in [
        ("SELECT set_config('search_path', 'app', false);", 1),
        (
            "SELECT pg_catalog.set_config('search_path', 'app', false) AS path;",
            1,
        ),
        ("SET search_path = app;", 1),
        ("BEGIN; SET search_path = app; COMMIT;", 1),
        (
            "SET search_path = app; BEGIN; SET search_path = public; ROLLBACK;",
            2,
        ),
        (
            "SET search_path = app; BEGIN; SET LOCAL search_path = public; COMMIT;",
            2,
        ),
        ("CREATE TEMP TABLE tmp (id int); SET search_path = app;", 2),
    ] {
        let database = server::database().await;
        database.run("CREATE SCHEMA app").await;
        let text = format!("{before}\nCREATE TABLE t1 (id int);");
        let (_, ran) = cut(&database, &text, units + 1, "CREATE TABLE t2 (id int);").await;
        assert_eq!(ran.status, 0, "{before}\n{}", ran.seen());
        let schemas = "SELECT string_agg(relnamespace::regnamespace::text, ' ') FROM pg_class WHERE relname IN ('t1', 't2')";
        assert_eq!(database.one(schemas).await, "app app", "{before}");
    }
}

/// What is done before the cut, what needs it afterwards, and the reason that is given.
const LOST: &[(&str, &str, &str)] = &[
    (
        "CREATE TEMP TABLE tmp AS SELECT 1 AS id;",
        "INSERT INTO t SELECT * FROM tmp;",
        "the temporary table `tmp` no longer exists",
    ),
    (
        "SELECT 1 AS id INTO TEMP tmp;",
        "INSERT INTO t SELECT * FROM tmp;",
        "the temporary table `tmp` no longer exists",
    ),
    (
        "DO $$ BEGIN CREATE TEMP TABLE tmp AS SELECT 1 AS id; END $$;",
        "INSERT INTO t SELECT * FROM tmp;",
        "the temporary table `tmp` no longer exists",
    ),
    (
        "DO $$ BEGIN PERFORM set_config('search_path', 'app', false); END $$;",
        "CREATE TABLE t2 (id int);",
        "`search_path` was `app` and is now ",
    ),
    (
        "SELECT app.enter();",
        "CREATE TABLE t2 (id int);",
        "`search_path` was `app` and is now ",
    ),
    (
        "SELECT app.tenant();",
        "INSERT INTO t SELECT current_setting('app.tenant')::int;",
        "the setting `app.tenant` has lost the value",
    ),
    (
        "CREATE TEMP TABLE t AS SELECT 42 AS id;",
        "SELECT app.peek();",
        "the temporary table `t`, which function app.peek() uses, no longer exists",
    ),
    (
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 42';",
        "INSERT INTO t SELECT pg_temp.f();",
        "the temporary function `f` no longer exists",
    ),
    (
        "PREPARE p AS INSERT INTO t VALUES (1);",
        "EXECUTE p;",
        "the prepared statement `p` no longer exists",
    ),
    (
        "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT;",
        "FETCH c;",
        "the cursor `c` no longer exists",
    ),
];

#[tokio::test]
async fn a_session_that_cannot_be_restored_is_refused_with_the_reason() {
    for (before, after, reason) in LOST {
        let database = server::database().await;
        database
            .run("CREATE SCHEMA app; CREATE TABLE t (id int); CREATE FUNCTION app.enter() RETURNS void LANGUAGE sql AS 'SELECT set_config(''search_path'', ''app'', false)'; \
                CREATE FUNCTION app.tenant() RETURNS text LANGUAGE sql AS 'SELECT set_config(''app.tenant'', ''42'', false)'; \
                CREATE FUNCTION app.peek() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT min(id) FROM t); END'")
            .await;
        let (project, ran) = cut(&database, before, 1, after).await;
        assert_eq!(ran.status, 3, "{before}\n{}", ran.seen());
        assert!(ran.stderr.contains(reason), "{before}\n{}", ran.seen());
        assert!(
            ran.stderr.contains("af-db repair --mark-applied 2"),
            "{}",
            ran.seen()
        );
        assert_eq!(
            database.one("SELECT count(*) FROM gate").await,
            "0",
            "{before}"
        );
        // The way out that the hint names.
        project
            .run(&["repair", "--resume", "2", "--as", "undone"])
            .await
            .ok();
        project.run(&["up"]).await.ok();
        assert_eq!(
            database.one("SELECT count(*) FROM gate").await,
            "1",
            "{before}"
        );
    }
}

#[tokio::test]
async fn the_values_of_a_files_own_settings_do_not_stay_in_the_journal() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__a.sql",
        "-- af-db: no-transaction\nSET app.token = 'opensesame';\n\
         SELECT set_config('app.key', 'opensesame', false);\nCREATE TABLE a (id int);\n",
    );
    project.run(&["up"]).await.ok();
    let notes = "SELECT count(*) FILTER (WHERE j::text LIKE '%app.token%') > 0, \
                 count(*) FILTER (WHERE j::text LIKE '%opensesame%') FROM af_db.journal AS j";
    assert_eq!(database.rows(notes).await, [["t", "0"]]);
}

#[tokio::test]
async fn what_the_rest_does_not_need_does_not_stop_it() {
    let database = server::database().await;
    database.run("CREATE TABLE t (id int)").await;
    let before =
        "CREATE TEMP TABLE tmp (id int);\nPREPARE p AS SELECT 1;\nSET LOCAL search_path = public;";
    let after = "CREATE TEMP TABLE tmp (other int);\nINSERT INTO t SELECT * FROM tmp;";
    let (_, ran) = cut(&database, before, 3, after).await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
}

/// Keeps anyone who builds an index CONCURRENTLY waiting: an old snapshot.
async fn snapshot(database: &Database) -> Session {
    let session = database.session().await;
    run(&session, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    session
}

const INDEXES: &str = "SELECT coalesce(string_agg(indexrelid::regclass || CASE WHEN indisvalid THEN '' ELSE ' invalid' END, ', ' \
    ORDER BY indexrelid::regclass::text), '') FROM pg_index WHERE indrelid = 't'::regclass";

#[tokio::test]
async fn an_index_that_another_session_is_building_is_never_dropped() {
    let database = server::database().await;
    database.run("CREATE TABLE t (a int, b int)").await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__x.sql",
        "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY ON t (a);\n",
    );
    let old = snapshot(&database).await;
    let theirs = database.session().await;
    let sql = Sql::new("CREATE INDEX CONCURRENTLY dba_idx ON t (b)");
    let (built, ran) = futures_util::future::join(theirs.run(&sql), async {
        until(
            &database,
            "SELECT count(*) = 1 FROM pg_index WHERE indrelid = 't'::regclass",
        )
        .await;
        let child = project.start(&["up"]);
        until(&database, "SELECT to_regclass('af_db.journal') IS NOT NULL").await;
        until(
            &database,
            "SELECT count(*) = 1 FROM af_db.journal WHERE state = 'unit-began'",
        )
        .await;
        run(&old, "COMMIT").await;
        project.ended(child).await
    })
    .await;
    built.expect("the other session's index");
    assert_eq!(ran.status, 0, "{}", ran.seen());
    assert!(!ran.stderr.contains("dropping"), "{}", ran.seen());
    assert_eq!(database.one(INDEXES).await, "dba_idx, t_a_idx");
}

/// Kills a run while its statement waits for an old snapshot, and with it the server process of the run.
async fn killed(database: &Database, project: &Project) {
    let old = snapshot(database).await;
    let mut child = project.start(&["up"]);
    until(
        database,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'virtualxid'",
    )
    .await;
    child.start_kill().expect("it can be killed");
    child.wait().await.expect("it ends");
    run(
        &old,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'virtualxid'",
    )
    .await;
    until(
        database,
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'virtualxid'",
    )
    .await;
    run(&old, "COMMIT").await;
}

#[tokio::test]
async fn only_the_index_that_our_own_run_began_is_dropped() {
    // What stands there before, the statement, and what stands there in the end; nothing where it is refused.
    for (before, statement, after) in [
        ("", "CREATE INDEX CONCURRENTLY ON t (a)", Some("t_a_idx")),
        ("", "CREATE INDEX CONCURRENTLY i ON t (a)", Some("i")),
        (
            "",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
            Some("i"),
        ),
        (
            "other",
            "CREATE INDEX CONCURRENTLY ON t (a)",
            Some("other invalid, t_a_idx"),
        ),
        (
            "other",
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            Some("i, other invalid"),
        ),
    ] {
        let database = server::database().await;
        database.run("CREATE TABLE t (a int, b int)").await;
        if !before.is_empty() {
            invalid(&database, before).await;
        }
        let project = Project::of(&database.target);
        project.write(
            "migrations/V1__x.sql",
            format!("-- af-db: no-transaction\n{statement};\n"),
        );
        killed(&database, &project).await;
        let ran = project.run(&["up"]).await;
        assert_eq!(ran.status, 0, "{statement}\n{}", ran.seen());
        assert!(
            ran.stderr
                .contains("an invalid index that an earlier run left behind"),
            "{}",
            ran.seen()
        );
        assert_eq!(
            database.one(INDEXES).await,
            after.expect("an index"),
            "{statement}"
        );
    }
}

/// Leaves an invalid index of another process.
async fn invalid(database: &Database, name: &str) {
    let session = database.session().await;
    run(&session, "INSERT INTO t VALUES (1, 1), (2, 1)").await;
    let build = format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON t (b)");
    session
        .run(&Sql::written_by_user(build))
        .await
        .expect_err("the rows are not unique");
}

#[tokio::test]
async fn an_invalid_index_of_the_same_name_that_is_not_ours_stops_the_run() {
    for keep in ["", "IF NOT EXISTS "] {
        let database = server::database().await;
        database.run("CREATE TABLE t (a int, b int)").await;
        invalid(&database, "i").await;
        let project = Project::of(&database.target);
        project.write(
            "migrations/V1__x.sql",
            format!("-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY {keep}i ON t (a);\n"),
        );
        let ran = project.run(&["up"]).await;
        assert_eq!(ran.status, 2, "{}", ran.seen());
        assert!(
            ran.stderr
                .contains("index public.i is invalid and was not created by af-db"),
            "{}",
            ran.seen()
        );
        assert_eq!(database.one(INDEXES).await, "i invalid");
        database.run("DROP INDEX i").await;
        project.run(&["up"]).await.ok();
        assert_eq!(database.one(INDEXES).await, "i");
    }
}

#[tokio::test]
async fn what_an_interrupted_reindex_leaves_is_found_and_dropped_where_it_is_ours() {
    let database = server::database().await;
    database
        .run("CREATE TABLE t (a int PRIMARY KEY, b int); CREATE INDEX t_b ON t (b)")
        .await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__x.sql",
        "-- af-db: no-transaction\nREINDEX TABLE CONCURRENTLY t;\n",
    );
    killed(&database, &project).await;
    assert_ne!(database.one(INDEXES).await, "t_b, t_pkey");
    let status = project.run(&["status", "--check"]).await;
    assert_eq!(status.status, 1, "{}", status.seen());
    assert!(status.seen().contains("reindex-left"), "{}", status.seen());
    project.run(&["up"]).await.ok();
    assert_eq!(database.one(INDEXES).await, "t_b, t_pkey");
    project.run(&["status", "--check"]).await.ok();
    // Of another process: it stays, and is told until an operator has dropped it.
    invalid(&database, "theirs_ccnew").await;
    let status = project.run(&["status", "--check"]).await;
    assert_eq!(status.status, 1, "{}", status.seen());
    project.write(
        "migrations/V2__y.sql",
        "-- af-db: no-transaction\nREINDEX TABLE CONCURRENTLY t;\n",
    );
    let ran = project.run(&["up"]).await;
    assert_eq!(ran.status, 1, "{}", ran.seen());
    assert!(ran.seen().contains("public.theirs_ccnew"), "{}", ran.seen());
    database.run("DROP INDEX theirs_ccnew").await;
    project.run(&["status", "--check"]).await.ok();
}
