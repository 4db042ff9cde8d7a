//! Connections: round trips, error messages, timeouts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use af_db::event::{Event, silent};
use af_db::pg::connect::{self, RetryLimits};
use af_db::pg::server_error::ServerError;
use af_db::pg::server_info::{self, Platform};
use af_db::pg::session::Session;
use af_db::pg::session_setup;
use af_db::pg::target::{Secret, Target};
use af_db::sql::safe::Sql;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::message::shown;
use crate::support::proxy::{Cut, Proxy};
use crate::support::server;
use crate::support::tcp_server::{TcpServer, free_port};

async fn refused(target: &Target) -> anyhow::Error {
    match connect::open_with(target, &RetryLimits::ONCE, &silent).await {
        Ok(_) => panic!("{target} should be refused"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn session_setup_takes_one_round_trip_and_pins_settings() {
    // A separate server: another test's roles would make it look like Supabase's.
    let server = server::own(None).await;
    let database = server.database().await;
    database
        .run(
            "ALTER ROLE postgres IN DATABASE \"DB\" SET timezone = 'Asia/Tokyo'"
                .replace("DB", &database.name)
                .as_str(),
        )
        .await;
    let proxy = Proxy::start(&database.target);
    let session = connect::open(&proxy.target(), &silent).await.unwrap();
    // One for the startup without password, one for the query.
    assert_eq!(proxy.round_trips(), 2, "{:?}", proxy.statements());
    let facts = session.server_info();
    assert_eq!(facts.database, database.name);
    assert_eq!(facts.role, "postgres");
    assert!(facts.superuser && facts.pinned && !facts.is_proxied() && !facts.in_recovery);
    assert_eq!(facts.platform, Platform::Plain);
    assert_eq!(facts.time_zone, "Asia/Tokyo");
    assert!(facts.system_identifier.is_some());
    for (name, value) in session_setup::SETTINGS {
        let now = server::rows(&session, &format!("SHOW {name}")).await;
        assert_eq!(now[0][0], *value, "{name}");
    }
    // RESET restores the role's own value.
    let reset = server::rows(&session, "RESET timezone; SHOW timezone").await;
    assert_eq!(reset[0][0], "Asia/Tokyo");
    assert_eq!(
        server::rows(&session, "SHOW application_name").await[0][0],
        "af-db"
    );
}

#[tokio::test]
async fn a_query_takes_one_round_trip() {
    let database = server::database().await;
    let proxy = Proxy::start(&database.target);
    let session = connect::open(&proxy.target(), &silent).await.unwrap();
    proxy.reset();
    session.query("SELECT 1", &[]).await.unwrap();
    assert_eq!(proxy.round_trips(), 1);
    session.run(&Sql::new("SELECT 1; SELECT 2")).await.unwrap();
    assert_eq!(proxy.round_trips(), 2);
    let both = futures_util::future::join(
        session.query("SELECT 1", &[]),
        session.query("SELECT 2", &[]),
    );
    both.await.0.unwrap();
    assert_eq!(proxy.round_trips(), 3);
}

#[tokio::test]
async fn a_role_without_privileges_gets_server_info() {
    let server = server::own(None).await;
    let database = server.database().await;
    database
        .run("CREATE ROLE plain LOGIN; REVOKE ALL ON FUNCTION pg_control_system() FROM PUBLIC; CREATE ROLE rds_superuser")
        .await;
    let session = database.session_as("plain").await;
    let facts = session.server_info();
    assert!(
        !facts.superuser && !facts.bypass_rls && !facts.create_database && !facts.reads_all_stats
    );
    assert_eq!(facts.system_identifier, None);
    assert_eq!(facts.platform, Platform::Rds);
    assert!(facts.pinned);
    assert!(session.database_size().await.unwrap() > 1_000_000);
}

#[tokio::test]
async fn failed_connections_are_explained() {
    let server = TcpServer::prepare()
        .await
        .hba_rules("host all wrong 127.0.0.1/32 scram-sha-256\nhost all nobody 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust")
        .start()
        .await;
    let port = server.port.to_string();
    let port = port.as_str();
    let admin = connect::open(&server.socket(), &silent).await.unwrap();
    admin
        .run(&Sql::new(
            "CREATE ROLE wrong LOGIN PASSWORD 'right'; CREATE ROLE gone; CREATE ROLE nobody LOGIN",
        ))
        .await
        .unwrap();
    let target = server.target("sslmode=prefer");
    let wrong = target.with_user("wrong");

    let started = Instant::now();
    let open = connect::open(&wrong.with_password(Secret::new("hunter2")), &silent).await;
    let error = open.err().unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "no second attempt"
    );
    assert!(error.downcast_ref::<ServerError>().unwrap().is("28P01"));
    insta::assert_snapshot!(shown(&error, &[(port, "PORT")]), @r#"
    error: cannot connect to database `postgres` at `127.0.0.1:PORT`
    caused by: password authentication failed for user "wrong" (SQLSTATE 28P01)
    hint: check the password in the connection URL, PGPASSWORD or PGPASSFILE
    exit: 2
    "#);
    insta::assert_snapshot!(shown(&refused(&wrong).await, &[(port, "PORT")]), @"
    error: the server at `127.0.0.1:PORT` requires a password, and none was given
    caused by: password missing
    hint: set PGPASSWORD or PGPASSFILE, or add the password to the connection URL
    exit: 2
    ");
    insta::assert_snapshot!(shown(&refused(&target.with_database("nothing")).await, &[(port, "PORT")]), @r#"
    error: cannot connect to database `nothing` at `127.0.0.1:PORT`
    caused by: database "nothing" does not exist (SQLSTATE 3D000)
    hint: create the database first, or correct its name in the connection URL
    exit: 2
    "#);
    insta::assert_snapshot!(shown(&refused(&target.with_user("gone")).await, &[(port, "PORT")]), @r#"
    error: cannot connect to database `postgres` at `127.0.0.1:PORT`
    caused by: role "gone" is not permitted to log in (SQLSTATE 28000)
    hint: the server's pg_hba.conf rejects this role from this host, or without TLS; the role may also not exist or lack LOGIN
    exit: 2
    "#);
    insta::assert_snapshot!(shown(&refused(&target.with_user("nobody")).await, &[(port, "PORT")]), @r#"
    error: cannot connect to database `postgres` at `127.0.0.1:PORT`
    caused by: pg_hba.conf rejects connection for host "127.0.0.1", user "nobody", database "postgres", no encryption (SQLSTATE 28000)
    hint: the server's pg_hba.conf rejects this role from this host, or without TLS; the role may also not exist or lack LOGIN
    exit: 2
    "#);
    let required = server.target("sslmode=require");
    insta::assert_snapshot!(shown(&refused(&required).await, &[(port, "PORT")]), @"
    error: the server at `127.0.0.1:PORT` does not support TLS
    caused by: server does not support TLS
    hint: enable TLS on the server (ssl = on), or use sslmode=disable on a trusted network
    exit: 2
    ");
    let standby = server.target("target_session_attrs=standby");
    insta::assert_snapshot!(shown(&refused(&standby).await, &[(port, "PORT")]), @"
    error: the server at `127.0.0.1:PORT` is not a replica, which target_session_attrs excludes
    hint: add the other servers to the connection URL, or change target_session_attrs
    exit: 2
    ");
}

#[tokio::test]
async fn missing_servers_are_explained() {
    let port = free_port();
    let name = port.to_string();
    let target = Target::parse(&format!("postgres://u@127.0.0.1:{port}/d")).unwrap();
    insta::assert_snapshot!(shown(&refused(&target).await, &[(&name, "PORT")]), @"
    error: nothing listens at `127.0.0.1:PORT`
    caused by: Connection refused (os error 111)
    hint: start the server, or correct the host and port
    exit: 2
    ");
    let socket = Target::parse("postgres://u@/d?host=/tmp/nothing-is-here").unwrap();
    insta::assert_snapshot!(shown(&refused(&socket).await, &[]), @"
    error: no server socket at `/tmp/nothing-is-here:5432`
    caused by: No such file or directory (os error 2)
    hint: start the server, or correct the socket's directory and the port
    exit: 2
    ");
    let unknown = Target::parse("postgres://u@no-such-host.invalid/d").unwrap();
    insta::assert_snapshot!(shown(&refused(&unknown).await, &[]).replace("Temporary failure in name resolution", "Name or service not known"), @"
    error: cannot resolve the host name `no-such-host.invalid`
    caused by: failed to lookup address information: Name or service not known
    hint: check the spelling and this machine's DNS
    exit: 2
    ");
    let two = Target::parse(&format!("postgres://u@127.0.0.1:{port},127.0.0.2:{port}/d")).unwrap();
    insta::assert_snapshot!(shown(&refused(&two).await, &[(&name, "PORT")]), @"
    error: none of the 2 servers can be used
    caused by: nothing listens at `127.0.0.1:PORT`; nothing listens at `127.0.0.2:PORT`
    hint: start the server, or correct the host and port
    exit: 2
    ");
}

#[tokio::test]
async fn an_unresponsive_server_times_out() {
    let database = server::database().await;
    let proxy = Proxy::start(&database.target);
    proxy.blackhole();
    let mut target = proxy.target();
    target.connect_timeout = Some(Duration::from_secs(1));
    let started = Instant::now();
    let error = refused(&target).await;
    assert!(started.elapsed() < Duration::from_secs(3));
    let port = proxy.target().hosts[0].port.to_string();
    insta::assert_snapshot!(shown(&error, &[(&port, "PORT")]), @"
    error: the server at `127.0.0.1:PORT` did not answer within 1 s
    hint: check host, port and firewall; set connect_timeout=… in the connection URL for a longer timeout
    exit: 2
    ");
}

#[tokio::test]
async fn the_next_host_is_tried_after_a_timeout_or_mismatch() {
    let standby = TcpServer::prepare().await.standby().start().await;
    let database = server::database().await;
    let (silent_proxy, proxy) = (
        Proxy::start(&database.target),
        Proxy::start(&database.target),
    );
    silent_proxy.blackhole();
    let mut target = proxy.target().with_database(&database.name);
    target.hosts = [silent_proxy.target(), standby.target(""), proxy.target()]
        .map(|target| target.hosts[0].clone())
        .to_vec();
    target.connect_timeout = Some(Duration::from_secs(1));
    target.session_attrs = af_db::pg::target::SessionAttrs::Primary;
    let session = connect::open(&target, &silent).await.unwrap();
    assert!(!session.server_info().in_recovery);
}

#[tokio::test]
async fn a_replica_is_refused_for_writing() {
    let standby = TcpServer::prepare().await.standby().start().await;
    let session = connect::open(&standby.target(""), &silent).await.unwrap();
    assert!(session.server_info().in_recovery);
    let error = server_info::refuse_replica(session.server_info()).unwrap_err();
    insta::assert_snapshot!(shown(&error.into(), &[]), @"
    error: the server of `postgres` is a read-only replica; nothing was changed
    hint: connect to the primary, or list all servers in the connection URL with target_session_attrs=primary
    exit: 2
    ");

    let database = server::database().await;
    let mut target = database.target.clone();
    target.options = Some("-c default_transaction_read_only=on".to_owned());
    let reading = connect::open(&target, &silent).await.unwrap();
    let error = server_info::refuse_replica(reading.server_info()).unwrap_err();
    insta::assert_snapshot!(shown(&error.into(), &[(&database.name, "test")]), @"
    error: sessions of `postgres` on `test` are read-only; nothing was changed
    hint: set default_transaction_read_only = off for the role or database, or use another role
    exit: 2
    ");
    assert!(server_info::refuse_replica(database.session().await.server_info()).is_ok());
}

/// Answers the startup message of every connection with fixed bytes, and closes it when they are used up.
async fn pretend(answers: Vec<Vec<u8>>) -> Target {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        while let (Ok((mut client, _)), Some(answer)) = (listener.accept().await, answers.next()) {
            let mut startup = [0; 1024];
            let _ = client.read(&mut startup).await;
            let _ = client.write_all(&answer).await;
            let _ = client.read(&mut startup).await;
        }
    });
    Target::parse(&format!("postgres://u@127.0.0.1:{port}/d?sslmode=disable")).unwrap()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

fn lets_in(version: &str) -> Vec<u8> {
    let parameter = format!("server_version\0{version}\0");
    [
        message(b'R', &[0, 0, 0, 0]),
        message(b'S', parameter.as_bytes()),
        message(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]),
        message(b'Z', b"I"),
    ]
    .concat()
}

fn starting_up() -> Vec<u8> {
    message(
        b'E',
        b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0",
    )
}

#[tokio::test]
async fn an_old_server_is_refused_with_its_version() {
    let target = pretend(vec![lets_in("13.14 (Debian 13.14-1.pgdg120+1)")]).await;
    insta::assert_snapshot!(shown(&refused(&target).await, &[]), @"
    error: PostgreSQL 13.14 (Debian 13.14-1.pgdg120+1) is not supported; the oldest supported version is 14
    hint: upgrade the server
    exit: 2
    ");
}

#[tokio::test]
async fn a_starting_server_is_waited_for() {
    let stories = Mutex::new(Vec::new());
    let watch = |event: Event<'_>| {
        if let Event::Info(story) = event {
            stories.lock().unwrap().push(story.to_owned());
        }
    };
    let target = pretend(vec![starting_up(), starting_up(), lets_in("13.1")]).await;
    let error = connect::open(&target, &watch).await.err().unwrap();
    assert!(
        error.to_string().contains("PostgreSQL 13.1"),
        "the third attempt was let in: {error:#}"
    );
    let port = target.hosts[0].port.to_string();
    let stories = stories.lock().unwrap().join("\n").replace(&port, "PORT");
    insta::assert_snapshot!(stories, @"waiting up to 60 s for `u@127.0.0.1:PORT/d`: the server is starting up or shutting down");

    let target = pretend(vec![starting_up()]).await;
    let port = target.hosts[0].port.to_string();
    insta::assert_snapshot!(shown(&refused(&target).await, &[(&port, "PORT")]), @"
    error: cannot connect to database `d` at `127.0.0.1:PORT`
    caused by: the database system is starting up (SQLSTATE 57P03)
    hint: the server is starting up or shutting down; try again shortly
    exit: 2
    ");
}

#[tokio::test]
async fn a_missing_server_is_waited_for() {
    let server = TcpServer::prepare().await;
    let target = server.target("");
    let open = connect::open(&target, &silent);
    let (session, _server) = tokio::join!(open, server.start());
    assert!(session.is_ok(), "{:?}", session.err());
}

#[tokio::test]
async fn a_cut_connection_is_an_error_and_not_a_hang() {
    let database = server::database().await;
    let proxy = Proxy::start(&database.target);
    let session = connect::open(&proxy.target(), &silent).await.unwrap();
    proxy.cut_after(Cut::Statement("'cut me'"));
    let error = session.run(&Sql::new("SELECT 'cut me'")).await.unwrap_err();
    assert!(
        error.downcast_ref::<ServerError>().unwrap().closed,
        "{error:#}"
    );
    assert!(session.is_closed());
}

#[tokio::test]
async fn a_statement_does_not_outlive_the_client() {
    let database = server::database().await;
    let proxy = Proxy::start(&database.target);
    let session = connect::open(&proxy.target(), &silent).await.unwrap();
    let pid = session.server_info().backend_pid;
    let observer = database.session().await;
    let running = format!("SELECT state = 'active' FROM pg_stat_activity WHERE pid = {pid}");
    let statement = Sql::new("SELECT pg_catalog.pg_sleep(600)");
    let watching = async {
        while server::rows(&observer, &running).await != [["t"]] {}
        let began = Instant::now();
        proxy.cut();
        while !server::rows(&observer, &running).await.is_empty() {
            let waited = began.elapsed();
            assert!(waited < Duration::from_secs(20), "it still runs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (answer, ()) = tokio::join!(session.run(&statement), watching);
    assert!(answer.is_err());
}

#[tokio::test]
async fn a_terminated_session_reports_the_reason() {
    let database = server::database().await;
    let (session, other) = (database.session().await, database.session().await);
    let pid = session.server_info().backend_pid;
    server::rows(&other, &format!("SELECT pg_terminate_backend({pid}, 5000)")).await;
    // The server's last message arrives on an idle connection and is returned by the next call.
    let error = session.query("SELECT 1", &[]).await.unwrap_err();
    let error = error.downcast_ref::<ServerError>().unwrap();
    assert!(error.closed && error.is("57P01"), "{error}");
}

/// Runs a long statement on a session and cancels it from another connection.
pub(crate) async fn assert_cancels(session: Session) {
    let canceller = session.canceller();
    let statement = Sql::new("SELECT pg_catalog.pg_sleep(60)");
    let sleeping = session.run(&statement);
    let cancelling = async {
        // The request may overtake the statement; it is sent until the statement has ended.
        loop {
            canceller.cancel().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        answer = sleeping => {
            let error = answer.unwrap_err();
            assert!(error.downcast_ref::<ServerError>().unwrap().is("57014"), "{error:#}");
        }
        () = cancelling => {}
    }
}

#[tokio::test]
async fn a_statement_is_cancelled_from_another_connection() {
    assert_cancels(server::database().await.session().await).await;
}

#[tokio::test]
async fn a_connection_closed_without_a_message_is_retried() {
    // As PostgreSQL does with new connections during crash recovery.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // Read first: closing with unread data would be a reset.
            let mut startup = [0; 1024];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut startup).await;
        }
    });
    let target = Target::parse(&format!(
        "postgresql://u@127.0.0.1:{port}/d?sslmode=disable"
    ))
    .unwrap();
    let options = RetryLimits {
        while_refused: Duration::from_millis(500),
        ..RetryLimits::ONCE
    };
    assert!(
        connect::open_with(&target, &options, &silent)
            .await
            .is_err()
    );
    assert!(came.load(std::sync::atomic::Ordering::Relaxed) > 1);
}
