//! Only an empty database is replaced, and it is checked again at the moment it is replaced.

use af_db::backup::emptiness;
use af_db::backup::restore::Destination;
use af_db::error::{Exit, exit_of};

use super::Bench;
use crate::support::server;

/// What makes a database non-empty; each alone.
const MADE: &[&str] = &[
    "CREATE TYPE mood AS ENUM ('fine')",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
    "CREATE TABLE t (a int)",
    "CREATE SEQUENCE s",
    "CREATE SCHEMA other",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE PUBLICATION everything FOR ALL TABLES",
    "CREATE SUBSCRIPTION s CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, enabled = false, create_slot = false, slot_name = NONE)",
    "CREATE TEXT SEARCH CONFIGURATION words (COPY = simple)",
    "CREATE TEXT SEARCH DICTIONARY terms (TEMPLATE = simple)",
    "CREATE COLLATION german (provider = icu, locale = 'de')",
    "CREATE CONVERSION latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
    "CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)",
    "CREATE OPERATOR FAMILY family USING btree",
    "CREATE CAST (json AS xml) WITH INOUT",
    "CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal))",
    "CREATE LANGUAGE other HANDLER plpgsql_call_handler",
    "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION f()",
    "CREATE FOREIGN DATA WRAPPER wrapper",
    "CREATE FOREIGN DATA WRAPPER wrapper; CREATE SERVER far FOREIGN DATA WRAPPER wrapper; CREATE USER MAPPING FOR PUBLIC SERVER far",
    "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "SELECT lo_create(0)",
    "SELECT lo_create(7)",
    "SELECT pg_create_logical_replication_slot('slot', 'pgoutput')",
];

/// What an empty database may have been given, and what it is called.
const GIVEN: &[(&str, &str)] = &[
    (
        "COMMENT ON SCHEMA public IS 'mine'",
        "a comment on schema public",
    ),
    (
        "COMMENT ON EXTENSION plpgsql IS 'mine'",
        "a comment on extension plpgsql",
    ),
    (
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "privileges on schema public",
    ),
    (
        "ALTER SCHEMA public OWNER TO postgres",
        "privileges on schema public",
    ),
    (
        "REVOKE EXECUTE ON FUNCTION pg_sleep(double precision) FROM PUBLIC",
        "privileges on function pg_sleep(double precision)",
    ),
    (
        "GRANT SELECT (rolname) ON pg_authid TO PUBLIC",
        "privileges on column rolname of table pg_authid",
    ),
    ("DROP SCHEMA public", "no schema public"),
    ("DROP EXTENSION plpgsql", "no extension plpgsql"),
    ("COMMENT ON DATABASE dst IS 'precious'", "a comment"),
    (
        "ALTER DATABASE dst SET work_mem TO '8MB'",
        "the setting work_mem",
    ),
    (
        "ALTER ROLE postgres IN DATABASE dst SET work_mem TO '8MB'",
        "the setting work_mem",
    ),
    (
        "GRANT CONNECT ON DATABASE dst TO pg_monitor",
        "privileges of its own",
    ),
    ("ALTER DATABASE dst OWNER TO somebody", "the owner somebody"),
    (
        "ALTER DATABASE dst CONNECTION LIMIT 7",
        "a connection limit",
    ),
];

async fn contents(target: &af_db::pg::target::Target) -> emptiness::UserContents {
    let session = open(target).await;
    let candidate = emptiness::EmptinessCandidate {
        target,
        owners: vec!["postgres".to_owned()],
    };
    let contents = emptiness::contents(&session, &candidate).await;
    session.close().await;
    contents.expect("it can be looked at")
}

async fn open(target: &af_db::pg::target::Target) -> af_db::pg::session::Session {
    af_db::pg::connect::open(target, &af_db::event::silent)
        .await
        .expect("a session")
}

async fn run(target: &af_db::pg::target::Target, sql: &str) {
    let session = open(target).await;
    let ran = session
        .run(&af_db::sql::safe::Sql::written_by_user(sql))
        .await;
    session.close().await;
    ran.unwrap_or_else(|error| panic!("{sql}: {error:#}"));
}

#[tokio::test]
async fn a_replaced_empty_database_with_properties_is_kept() {
    let bench = Bench::new().await;
    bench
        .database
        .run("CREATE TABLE t AS SELECT 1 AS a; CREATE ROLE somebody")
        .await;
    let archive = bench.backup().await;
    let options = bench.restore_options("dst");
    for (given, called) in GIVEN {
        bench
            .database
            .run("CREATE DATABASE dst TEMPLATE template0")
            .await;
        run(&options.target, given).await;
        let found = contents(&options.target).await;
        assert_eq!(found.objects, [] as [String; 0], "{given}");
        assert_eq!(found.properties, [*called], "{given}");
        bench.database.run("DROP DATABASE dst").await;
    }
    bench
        .database
        .run("CREATE DATABASE dst TEMPLATE template0")
        .await;
    for given in [
        "ALTER DATABASE dst OWNER TO somebody",
        "ALTER DATABASE dst CONNECTION LIMIT 7",
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
    ] {
        run(&options.target, given).await;
    }
    let before = contents(&options.target).await;
    let restored = bench.restore(&archive, &options).await.unwrap();
    let [finding] = restored.findings.as_slice() else {
        panic!("{:?}", restored.findings);
    };
    assert_eq!(
        finding.message,
        "the replaced empty database had the owner somebody, a connection limit, privileges on schema public; the restored one has the backup's instead"
    );
    let kept = restored.kept_as.expect("it is kept");
    assert_eq!(contents(&options.target.with_database(&kept)).await, before);
    let session = open(&options.target).await;
    let rows = server::rows(&session, "SELECT a FROM public.t").await;
    session.close().await;
    assert_eq!(rows, [["1"]]);
}

#[tokio::test]
async fn objects_from_template1_do_not_count() {
    let bench = Bench::new().await;
    bench.database.run("CREATE TABLE t AS SELECT 1 AS a").await;
    let archive = bench.backup().await;
    bench
        .database
        .run("CREATE DATABASE template1 TEMPLATE template0")
        .await;
    let template = bench.database.target.with_database("template1");
    run(
        &template,
        "CREATE TABLE spare (a int, b serial); INSERT INTO spare VALUES (1); CREATE TYPE mood AS ENUM ('fine'); \
         CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    .await;
    let options = bench.restore_options("dst");
    let cases = [
        ("ALTER TYPE mood ADD VALUE 'sad'", "pg_enum"),
        ("INSERT INTO spare VALUES (2)", "rows in public.spare"),
        ("UPDATE spare SET a = 3", "rows in public.spare"),
        ("CREATE VIEW v AS SELECT 1 AS a", "view v"),
        ("ALTER FUNCTION f() STRICT", "function f()"),
    ];
    for (change, called) in cases {
        bench
            .database
            .run("CREATE DATABASE dst TEMPLATE template1")
            .await;
        run(&options.target, change).await;
        let error = bench.restore(&archive, &options).await.unwrap_err();
        assert_eq!(exit_of(&error), Exit::Refused, "{change}: {error:#}");
        assert!(error.to_string().contains(called), "{change}: {error}");
        bench.database.run("DROP DATABASE dst").await;
    }
    for from in ["template1", "template0"] {
        bench
            .database
            .run(&format!("CREATE DATABASE dst TEMPLATE {from}"))
            .await;
        let restored = bench.restore(&archive, &options).await.unwrap();
        assert_eq!(restored.findings, [], "{from}");
        assert_eq!(restored.kept_as, None, "{from}");
        bench.database.run("DROP DATABASE dst").await;
    }
}

#[tokio::test]
async fn any_user_object_makes_a_database_non_empty() {
    let bench = Bench::new().await;
    bench
        .database
        .run("CREATE TABLE t AS SELECT 1 AS a; CREATE ROLE somebody")
        .await;
    let archive = bench.backup().await;
    let options = bench.restore_options("dst");
    let mut taken = Vec::new();
    for made in MADE {
        bench
            .database
            .run("CREATE DATABASE dst TEMPLATE template0")
            .await;
        let inside = af_db::pg::connect::open(&options.target, &af_db::event::silent)
            .await
            .unwrap();
        let sql = af_db::sql::safe::Sql::written_by_user(*made);
        // A server without ICU makes no such collation, for one; what is not made is not tested.
        inside
            .run(&sql)
            .await
            .unwrap_or_else(|error| panic!("{made}: {error:#}"));
        inside.close().await;
        match bench.restore(&archive, &options).await {
            Err(error) if exit_of(&error) == Exit::Refused => {
                let said = error.to_string();
                assert!(said.contains("is not empty ("), "{made}: {said}");
            }
            other => taken.push(format!("{made}: {other:?}")),
        }
        let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots";
        bench.database.run(drop).await;
        let inside = af_db::pg::connect::open(&options.target, &af_db::event::silent).await;
        if let Ok(inside) = inside {
            let drop = "DO $$ BEGIN EXECUTE 'DROP SUBSCRIPTION s'; EXCEPTION WHEN undefined_object THEN END $$";
            let _ = inside
                .run(&af_db::sql::safe::Sql::written_by_user(drop))
                .await;
            inside.close().await;
        }
        bench.database.run("DROP DATABASE dst").await;
    }
    assert_eq!(taken, [] as [String; 0]);

    // Neither what template1 gives to every new database counts, nor what other sessions leave behind.
    bench
        .database
        .run("CREATE DATABASE template1 TEMPLATE template0")
        .await;
    let template = bench.database.target.with_database("template1");
    let session = af_db::pg::connect::open(&template, &af_db::event::silent)
        .await
        .unwrap();
    let sql = "GRANT CREATE ON SCHEMA public TO PUBLIC; COMMENT ON SCHEMA public IS 'everybody''s'";
    session
        .run(&af_db::sql::safe::Sql::written_by_user(sql))
        .await
        .unwrap();
    session.close().await;
    bench
        .database
        .run("CREATE DATABASE dst TEMPLATE template1")
        .await;
    let inside = af_db::pg::connect::open(&options.target, &af_db::event::silent)
        .await
        .unwrap();
    inside
        .run(&af_db::sql::safe::Sql::new(
            "CREATE TEMP TABLE passing (a int); DROP TABLE passing",
        ))
        .await
        .unwrap();
    inside.close().await;
    let restored = bench.restore(&archive, &options).await.unwrap();
    assert_eq!(restored.findings, []);
    assert_eq!(restored.kept_as, None);
    assert_eq!(bench.databases().await, ["dst", &bench.database.name]);
}

/// Restores into an empty database in which a table is made meanwhile, by a session that then goes or stays.
async fn written_meanwhile(stays: bool, place: Destination) {
    let bench = Bench::new().await;
    bench
        .database
        .run("CREATE TABLE t AS SELECT n FROM generate_series(1, 20000) AS n")
        .await;
    bench
        .database
        .run("CREATE DATABASE dst TEMPLATE template0")
        .await;
    let archive = bench.backup().await;
    let mut options = bench.restore_options("dst");
    options.place = place;
    let (told, mut began) = tokio::sync::mpsc::unbounded_channel();
    let watch = move |event: af_db::event::Event<'_>| {
        if let af_db::event::Event::Info("verifying schema") = event {
            let _ = told.send(());
        }
    };
    let store = bench.store();
    let interrupt = af_db::event::Interrupt::default();
    let restoring =
        af_db::backup::restore::run(&options, &store, &archive.name, &watch, &interrupt);
    let writing = async {
        began.recv().await.expect("the restore comes so far");
        let session = af_db::pg::connect::open(&options.target, &af_db::event::silent)
            .await
            .expect("it works");
        let sql = "CREATE TABLE precious AS SELECT n FROM generate_series(1, 1000) AS n";
        session
            .run(&af_db::sql::safe::Sql::written_by_user(sql))
            .await
            .expect("it works");
        if stays { Some(session) } else { None }
    };
    let (restored, session) = tokio::join!(restoring, writing);
    drop(session);
    let kept = match (place, restored) {
        (Destination::New, Err(error)) => {
            assert_eq!(exit_of(&error), Exit::Refused, "{error:#}");
            assert!(error.to_string().contains("(table precious)"), "{error:#}");
            assert_eq!(bench.databases().await, ["dst", &bench.database.name]);
            "dst".to_owned()
        }
        (Destination::Swap, Ok(restored)) => restored.kept_as.expect("the old one is kept"),
        (_, other) => panic!("{other:?}"),
    };
    let target = bench.database.target.with_database(&kept);
    let session = af_db::pg::connect::open(&target, &af_db::event::silent)
        .await
        .expect("it works");
    let rows = server::rows(&session, "SELECT count(*) FROM public.precious").await;
    assert_eq!(rows, [["1000"]]);
}

#[tokio::test]
async fn rows_written_into_an_empty_database_during_a_restore_are_not_lost() {
    for stays in [false, true] {
        written_meanwhile(stays, Destination::New).await;
        written_meanwhile(stays, Destination::Swap).await;
    }
}

#[tokio::test]
async fn a_database_of_another_restore_is_not_removed() {
    let bench = Bench::new().await;
    bench.database.run("CREATE TABLE t (a int)").await;
    let archive = bench.backup().await;
    // Databases of the name this restore would build under, for this second and the next ones.
    let now = chrono::Utc::now();
    let names: Vec<String> = (0..20)
        .map(|second| now + chrono::TimeDelta::seconds(second))
        .map(|time| time.format("dst_restoring_%Y%m%dt%H%M%S").to_string())
        .collect();
    for name in &names {
        bench
            .database
            .run(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await;
    }
    bench
        .restore(&archive, &bench.restore_options("dst"))
        .await
        .unwrap();
    let databases = bench.databases().await;
    assert!(names.iter().all(|name| databases.contains(name)));
}
