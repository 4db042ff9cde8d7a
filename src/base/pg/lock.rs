//! The migration lock: one advisory lock per database, taken by everything that changes or copies its schema.
//!
//! Polled instead of waited for: a session that waits inside the server keeps a snapshot, and `CREATE INDEX
//! CONCURRENTLY` of the holder would wait for that snapshot, a deadlock.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};
use tokio_postgres::types::Type;

use crate::error::{Exit, Failure, fail, with_exit};
use crate::event::{Event, Watch};
use crate::pg::backend::{Backend, age, backend};
use crate::pg::server_info::PoolMode;
use crate::pg::session::Session;
use crate::sql::safe::Sql;

/// `af-db` in ASCII and the number of the lock. Another program that takes the same key takes turns with us.
pub const KEY: i64 = i64::from_be_bytes(*b"\0\0af-db\x01");

/// Whether the lock can be held by several sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Exclusive: for changing the schema.
    Alone,
    /// Shared: for reading a stable schema, such as a backup.
    Together,
}

/// The lock, held until it is released or the session that took it ends.
#[derive(Debug)]
pub struct Lock {
    backend_pid: i32,
    share: Share,
}

/// Takes the lock of the session's database, retrying until the budget is used up.
///
/// The session must keep its server process: see [`require_session`](crate::pg::pooler::require_session).
pub async fn take(
    session: &Session,
    share: Share,
    budget: Duration,
    watch: Watch<'_>,
) -> Result<Lock> {
    if !matches!(
        session.pooling(),
        Some(PoolMode::Direct | PoolMode::Session)
    ) {
        return Err(fail(
            "the migration lock needs a direct connection or a pooler in session mode; nothing was changed",
        )
        .hint("set direct-url (or DIRECT_URL) to the server itself")
        .into());
    }
    let started = Instant::now();
    let mut pause = Duration::from_millis(50);
    let mut told = false;
    loop {
        if let Some(lock) = attempt(session, share).await? {
            // Without a pooler the server process cannot have changed since the query.
            if session.pooling() != Some(PoolMode::Direct) {
                lock.confirm(session).await?;
            }
            return Ok(lock);
        }
        let holders = holders(session).await?;
        if started.elapsed() + pause > budget {
            return Err(busy(&holders).into());
        }
        if !told && !holders.is_empty() {
            told = true;
            let names = list(&holders);
            watch(Event::Info(&format!(
                "waiting up to {} for the migration lock, held by {names}",
                age(budget)
            )));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

/// A session that runs steps: nothing else does. It holds the migration lock, or says why it needs none of its own.
pub struct LockedSession {
    session: Session,
    // Whether this session itself holds the lock; every record then confirms that it still does.
    holds_lock: bool,
}

impl LockedSession {
    /// Takes the migration lock alone, held until the session ends; asks again until the budget is used up.
    pub async fn take(session: Session, budget: Duration, watch: Watch<'_>) -> Result<Self> {
        take(&session, Share::Alone, budget, watch).await?;
        Ok(LockedSession {
            session,
            holds_lock: true,
        })
    }

    /// A second session of a run whose first one holds the lock, such as that of a tenant's schema.
    pub fn beside(session: Session, _holder: &LockedSession) -> Self {
        LockedSession {
            session,
            holds_lock: false,
        }
    }

    /// A session on a shadow database, which no other client uses.
    pub fn on_throwaway(session: Session) -> Self {
        LockedSession {
            session,
            holds_lock: false,
        }
    }

    /// Makes a new session the successor of this one, which was lost: it takes the lock if this one held it.
    pub async fn successor(
        &self,
        session: Session,
        budget: Duration,
        watch: Watch<'_>,
    ) -> Result<Self> {
        if self.holds_lock {
            return LockedSession::take(session, budget, watch).await;
        }
        Ok(LockedSession {
            session,
            holds_lock: false,
        })
    }

    /// Whether this session itself holds the lock.
    pub fn holds_lock(&self) -> bool {
        self.holds_lock
    }

    /// Returns the session alone; the lock stays with it.
    pub fn into_session(self) -> Session {
        self.session
    }

    /// Ends the session, and with it the lock.
    pub async fn close(self) {
        self.session.close().await;
    }
}

impl std::ops::Deref for LockedSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl std::ops::DerefMut for LockedSession {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

async fn attempt(session: &Session, share: Share) -> Result<Option<Lock>> {
    let row = session
        .query_one(
            include_str!("queries/lock_try.sql"),
            &[
                (&KEY, Type::INT8),
                (&(share == Share::Together), Type::BOOL),
            ],
        )
        .await?;
    if !row.get::<_, bool>("taken") {
        return Ok(None);
    }
    if !row.get::<_, bool>("listed") {
        return Err(lost().into());
    }
    Ok(Some(Lock {
        backend_pid: row.get("backend_pid"),
        share,
    }))
}

impl Lock {
    /// Checks that the lock is still held by the same server process.
    pub async fn confirm(&self, session: &Session) -> Result<()> {
        let row = session
            .query_one(include_str!("queries/lock_held.sql"), &[(&KEY, Type::INT8)])
            .await?;
        let same = row.get::<_, i32>("backend_pid") == self.backend_pid;
        if !same || !row.get::<_, bool>("listed") {
            return Err(lost().into());
        }
        Ok(())
    }

    /// Ending the session releases the lock as well.
    pub async fn release(self, session: &Session) -> Result<()> {
        session
            .query_one(
                include_str!("queries/lock_release.sql"),
                &[
                    (&KEY, Type::INT8),
                    (&(self.share == Share::Together), Type::BOOL),
                ],
            )
            .await?;
        Ok(())
    }
}

/// Returns an SQL condition that is true while the executing session holds the lock.
pub fn is_held() -> Sql {
    Sql::fill(
        "EXISTS (SELECT FROM pg_catalog.pg_locks AS held WHERE held.granted AND held.locktype OPERATOR(pg_catalog.=) 'advisory' \
         AND held.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() \
         AND held.classid OPERATOR(pg_catalog.=) ({} OPERATOR(pg_catalog.>>) 32)::pg_catalog.int4::pg_catalog.oid \
         AND held.objid OPERATOR(pg_catalog.=) ({} OPERATOR(pg_catalog.&) 4294967295)::pg_catalog.oid \
         AND held.objsubid OPERATOR(pg_catalog.=) 1::pg_catalog.int2)",
        &[&KEY, &KEY],
    )
}

/// Returns the other sessions that hold the lock, the one connected longest first.
pub async fn holders(session: &Session) -> Result<Vec<Backend>> {
    let rows = session
        .query(
            include_str!("queries/lock_holders.sql"),
            &[(&KEY, Type::INT8)],
        )
        .await?;
    Ok(rows.iter().map(backend).collect())
}

fn list(holders: &[Backend]) -> String {
    holders
        .iter()
        .map(Backend::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn busy(holders: &[Backend]) -> Failure {
    let Some(first) = holders.first() else {
        return with_exit(
            Exit::Busy,
            "another session has just released the migration lock; nothing was changed",
        )
        .hint("run the command again");
    };
    let since = first
        .connected
        .map(|time| format!(", connected for {}", age(time)))
        .unwrap_or_default();
    with_exit(
        Exit::Busy,
        format!(
            "the migration lock is held by {}{since}; nothing was changed",
            list(holders)
        ),
    )
    .hint(format!(
        "wait until that session finishes; if it is stale: SELECT pg_terminate_backend({})",
        first.pid
    ))
}

fn lost() -> Failure {
    fail("the session lost the migration lock").hint(
        "a pooler seems to share connections: set direct-url (or DIRECT_URL) to the server itself",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_never_changes() {
        assert_eq!(KEY, 107_091_476_111_873);
    }
}
