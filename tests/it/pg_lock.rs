//! The migration lock, and the sessions reported as conflicting.

use std::time::Duration;

use af_db::event::silent;
use af_db::pg::backend::{blockers, lock_conflicts};
use af_db::pg::connect;
use af_db::pg::lock::{self, Share};
use af_db::pg::session::Session;
use af_db::sql::safe::Sql;

use crate::support::message::shown;
use crate::support::server;

const NOT_AT_ALL: Duration = Duration::ZERO;

async fn take(session: &Session, share: Share) -> anyhow::Result<lock::Lock> {
    lock::take(session, share, NOT_AT_ALL, &silent).await
}

#[tokio::test]
async fn an_exclusive_lock_reports_its_holder() {
    let database = server::database().await;
    let (one, two) = (database.session().await, database.session().await);
    let held = take(&one, Share::Alone).await.unwrap();
    held.confirm(&one).await.unwrap();
    let error = take(&two, Share::Alone).await.unwrap_err();
    let pid = one.server_info().backend_pid.to_string();
    let shown = shown(
        &error,
        &[
            (&pid, "PID"),
            ("for 1 s", "for 0 s"),
            ("for 2 s", "for 0 s"),
        ],
    );
    insta::assert_snapshot!(shown, @"
    error: the migration lock is held by process PID (role `postgres`, application `af-db`), idle, connected for 0 s; nothing was changed
    hint: wait until that session finishes; if it is stale: SELECT pg_terminate_backend(PID)
    exit: 75
    ");
    assert!(take(&two, Share::Together).await.is_err());
    held.release(&one).await.unwrap();
    take(&two, Share::Alone).await.unwrap();
}

#[tokio::test]
async fn a_shared_lock_excludes_migrations() {
    let database = server::database().await;
    let (one, two, three) = (
        database.session().await,
        database.session().await,
        database.session().await,
    );
    let first = take(&one, Share::Together).await.unwrap();
    take(&two, Share::Together).await.unwrap();
    assert!(take(&three, Share::Alone).await.is_err());
    assert_eq!(lock::holders(&three).await.unwrap().len(), 2);
    first.release(&one).await.unwrap();
    two.close().await;
    let patient = Duration::from_secs(5);
    lock::take(&three, Share::Alone, patient, &silent)
        .await
        .unwrap();
}

#[tokio::test]
async fn every_database_has_its_own_lock() {
    let (one, two) = (server::database().await, server::database().await);
    let (one, two) = (one.session().await, two.session().await);
    take(&one, Share::Alone).await.unwrap();
    take(&two, Share::Alone).await.unwrap();
}

#[tokio::test]
async fn the_lock_is_waited_for_within_the_budget() {
    let database = server::database().await;
    let (one, two) = (database.session().await, database.session().await);
    let held = take(&one, Share::Alone).await.unwrap();
    let waiting = lock::take(&two, Share::Alone, Duration::from_secs(10), &silent);
    let (taken, ()) = tokio::join!(waiting, async {
        held.release(&one).await.unwrap();
    });
    taken.unwrap();
}

#[tokio::test]
async fn a_lost_lock_is_noticed() {
    let database = server::database().await;
    let session = database.session().await;
    let held = take(&session, Share::Alone).await.unwrap();
    // Like DISCARD ALL in a migration.
    session
        .run(&Sql::new("SELECT pg_catalog.pg_advisory_unlock_all()"))
        .await
        .unwrap();
    let error = held.confirm(&session).await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &[]), @"
    error: the session lost the migration lock
    hint: a pooler seems to share connections: set direct-url (or DIRECT_URL) to the server itself
    exit: 2
    ");
}

#[tokio::test]
async fn conflicting_sessions_are_listed() {
    let database = server::database().await;
    database
        .run("CREATE TABLE a (id int); CREATE TABLE b (id int)")
        .await;
    let (holder, waiter, observer) = (
        database.session().await,
        database.session().await,
        database.session().await,
    );
    holder
        .run(&Sql::new("BEGIN; SELECT FROM public.a"))
        .await
        .unwrap();
    let wanted = [
        ("public.a", "AccessExclusiveLock"),
        ("public.b", "AccessExclusiveLock"),
    ];
    let found = lock_conflicts(&observer, &wanted).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(!found[0].waits && !found[0].is_cancellable_autovacuum());
    assert_eq!(found[0].state.as_deref(), Some("idle in transaction"));
    assert_eq!(
        found[0].query.as_deref(),
        Some("BEGIN; SELECT FROM public.a")
    );
    assert!(found[0].transaction.is_some());
    let reading = [
        ("public.a", "RowExclusiveLock"),
        ("public.missing", "AccessExclusiveLock"),
    ];
    assert!(
        lock_conflicts(&observer, &reading)
            .await
            .unwrap()
            .is_empty()
    );

    let pid = waiter.server_info().backend_pid;
    let statement = Sql::new("SET lock_timeout = '10s'; LOCK TABLE public.a");
    let blocked = waiter.run(&statement);
    let observing = async {
        let found = loop {
            let found = blockers(&observer, pid).await.unwrap();
            if !found.is_empty() {
                break found;
            }
        };
        assert_eq!(found[0].pid, holder.server_info().backend_pid);
        let queue = lock_conflicts(&observer, &[("public.a", "AccessShareLock")])
            .await
            .unwrap();
        assert_eq!((queue.len(), queue[0].pid, queue[0].waits), (1, pid, true));
        holder.run(&Sql::new("COMMIT")).await.unwrap();
    };
    let (_, ()) = tokio::join!(blocked, observing);
    assert!(blockers(&observer, pid).await.unwrap().is_empty());
}

#[tokio::test]
async fn hidden_activity_is_reported_as_such() {
    let server = server::own(None).await;
    let database = server.database().await;
    database.run("CREATE ROLE plain LOGIN").await;
    let holder = database.session().await;
    take(&holder, Share::Alone).await.unwrap();
    let plain = connect::open(&database.target.with_user("plain"), &silent)
        .await
        .unwrap();
    let error = take(&plain, Share::Alone).await.unwrap_err();
    let pid = holder.server_info().backend_pid.to_string();
    insta::assert_snapshot!(shown(&error, &[(&pid, "PID")]), @"
    error: the migration lock is held by process PID (role `postgres`, application `af-db`), activity not visible to this role; nothing was changed
    hint: wait until that session finishes; if it is stale: SELECT pg_terminate_backend(PID)
    exit: 75
    ");
}
