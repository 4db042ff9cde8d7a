//! Poolers are detected with their mode, and only used for writing if they keep a session together.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::time::{Duration, Instant};

use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::lock::{self, Share};
use af_db::pg::pooler;
use af_db::pg::server_info::PoolMode;
use af_db::pg::target::Target;

use crate::support::message::shown;
use crate::support::proxy::Proxy;
use crate::support::server::{self, Database};
use crate::support::tcp_server::PgBouncer;

/// Detects the mode of a pooler, and checks that none of our settings is left behind for other clients.
async fn found(database: &Database, target: &Target) -> PoolMode {
    let session = connect::open(target, &silent).await.unwrap();
    assert!(session.server_info().is_proxied() && !session.server_info().pinned);
    let mode = pooler::mode(&session, target).await.unwrap();
    if mode != PoolMode::Session {
        let stranger = connect::open(target, &silent).await.unwrap();
        let zone = server::rows(&stranger, "SHOW client_connection_check_interval").await;
        assert_eq!(zone[0][0], "0", "{}", database.name);
    }
    mode
}

#[tokio::test]
async fn a_plain_proxy_is_no_pooler() {
    let database = server::database().await;
    let proxy = Proxy::start(&database.target);
    let session = connect::open(&proxy.target(), &silent).await.unwrap();
    let before = proxy.connections();
    assert_eq!(
        pooler::mode(&session, &proxy.target()).await.unwrap(),
        PoolMode::Direct
    );
    assert_eq!(proxy.connections(), before, "nothing more had to be asked");
}

#[tokio::test]
async fn transaction_mode_is_refused_with_a_direct_url() {
    let database = server::database().await;
    for more in [
        "",
        "server_round_robin=1\nmin_pool_size=4",
        "default_pool_size=1",
        "ignore_startup_parameters=options",
    ] {
        let bouncer = PgBouncer::start(&database.target, "transaction", more).await;
        let target = bouncer.target(&database.target);
        assert_eq!(
            found(&database, &target).await,
            PoolMode::Transaction,
            "{more}"
        );
    }
    let bouncer = PgBouncer::start(&database.target, "transaction", "").await;
    let target = bouncer.target(&database.target);
    let session = connect::open(&target, &silent).await.unwrap();
    let started = Instant::now();
    let error = pooler::require_session(&session, &target)
        .await
        .unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(1));
    let port = bouncer.port.to_string();
    insta::assert_snapshot!(shown(&error, &[(&port, "PORT"), (&database.name, "test")]), @"
    error: `postgres@127.0.0.1:PORT/test` is a transaction-mode pooler; advisory locks do not work through it; nothing was changed
    hint: set direct-url (or DIRECT_URL) to the server itself, or to a pooler in session mode
    exit: 4
    ");
    let error = lock::take(&session, Share::Alone, Duration::ZERO, &silent)
        .await
        .unwrap_err();
    insta::assert_snapshot!(shown(&error, &[]), @"
    error: the migration lock needs a direct connection or a pooler in session mode; nothing was changed
    hint: set direct-url (or DIRECT_URL) to the server itself
    exit: 2
    ");
}

#[tokio::test]
async fn statement_mode_is_refused() {
    let database = server::database().await;
    let bouncer = PgBouncer::start(&database.target, "statement", "").await;
    let target = bouncer.target(&database.target);
    assert_eq!(found(&database, &target).await, PoolMode::Statement);
    let session = connect::open(&target, &silent).await.unwrap();
    let error = pooler::require_session(&session, &target)
        .await
        .unwrap_err();
    let port = bouncer.port.to_string();
    insta::assert_snapshot!(shown(&error, &[(&port, "PORT"), (&database.name, "test")]), @"
    error: `postgres@127.0.0.1:PORT/test` is a statement-mode pooler; advisory locks do not work through it; nothing was changed
    hint: set direct-url (or DIRECT_URL) to the server itself, or to a pooler in session mode
    exit: 4
    ");
}

#[tokio::test]
async fn session_mode_is_accepted_and_gets_our_settings() {
    let database = server::database().await;
    let bouncer = PgBouncer::start(&database.target, "session", "").await;
    let target = bouncer.target(&database.target);
    let session = connect::open(&target, &silent).await.unwrap();
    assert_eq!(
        pooler::require_session(&session, &target).await.unwrap(),
        PoolMode::Session
    );
    let interval = server::rows(&session, "SHOW client_connection_check_interval").await;
    assert_eq!(interval[0][0], "500ms");
    let held = lock::take(&session, Share::Alone, Duration::ZERO, &silent)
        .await
        .unwrap();
    held.confirm(&session).await.unwrap();
    crate::pg_connect::assert_cancels(session).await;
}

#[tokio::test]
async fn a_session_pool_of_one_is_not_trusted() {
    let database = server::database().await;
    let bouncer = PgBouncer::start(&database.target, "session", "default_pool_size=1").await;
    let target = bouncer.target(&database.target);
    let session = connect::open(&target, &silent).await.unwrap();
    assert!(pooler::require_session(&session, &target).await.is_err());
}

#[tokio::test]
async fn the_direct_url_of_a_known_pooler_is_suggested() {
    let database = server::database().await;
    let bouncer = PgBouncer::start(&database.target, "transaction", "").await;
    let mut target = bouncer.target(&database.target);
    let session = connect::open(&target, &silent).await.unwrap();
    pooler::mode(&session, &target).await.unwrap();
    // Reached at another address, but written as users write it.
    target =
        Target::parse("postgres://postgres.abcd:secret@aws-0-eu.pooler.supabase.com:6543/postgres")
            .unwrap();
    let error = pooler::require_session(&session, &target)
        .await
        .unwrap_err();
    insta::assert_snapshot!(shown(&error, &[]), @"
    error: `postgres.abcd@aws-0-eu.pooler.supabase.com:6543/postgres` is a transaction-mode pooler; advisory locks do not work through it; nothing was changed
    hint: set direct-url (or DIRECT_URL) to `postgres@db.abcd.supabase.co:5432/postgres` or `postgres.abcd@aws-0-eu.pooler.supabase.com:5432/postgres`
    exit: 4
    ");
}
