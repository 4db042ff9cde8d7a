//! Detects a connection pooler and its mode, and refuses to write through one that shares connections.
//!
//! Where connections are shared between transactions, session state is lost or leaks to other clients: two runners
//! hold the same advisory lock, settings reach the application's sessions, timeouts are not applied.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::timeout;

use crate::error::{Failure, refuse};
use crate::event::silent;
use crate::pg::server_error::ServerError;
use crate::pg::server_info::PoolMode;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::pg::{connect, session_setup};
use crate::sql::safe::Sql;

/// Time limit of the second connection of the probe.
const PROBE_PATIENCE: Duration = Duration::from_secs(3);

/// How often the first connection checks that it still has its server process.
///
/// A pooler usually hands out the process used last, so once is enough; one that rotates needs as many as it has idle.
const PROBE_ROUNDS: usize = 5;

/// Returns how the connection of a session is pooled.
///
/// Free of cost where the session setup has shown that there is no proxy; otherwise it opens a second connection.
pub async fn mode(session: &Session, target: &Target) -> Result<PoolMode> {
    if let Some(mode) = session.pooling() {
        return Ok(mode);
    }
    let mode = match timeout(PROBE_PATIENCE, probe(session, target)).await {
        Ok(mode) => mode.context("detecting the pooler's mode")?,
        // Neither connection gets a process while the other has one: a pool this small cannot be distinguished, and
        // must not be trusted.
        Err(_) => PoolMode::Transaction,
    };
    if mode == PoolMode::Session {
        session_setup::apply_settings(session).await?;
    }
    session.learn_pooling(mode);
    Ok(mode)
}

/// Keeps a transaction open on a second connection and checks whether the first one lost its server process.
async fn probe(session: &Session, target: &Target) -> Result<PoolMode> {
    let first = session.server_info().backend_pid;
    let second = connect::open_with(target, &connect::RetryLimits::ONCE, &silent).await?;
    let shares = second.server_info().backend_pid == first;
    if let Err(error) = second.run(&Sql::new("BEGIN")).await {
        // PgBouncer: "transaction blocks not allowed in statement pooling mode".
        return match error.downcast_ref::<ServerError>() {
            Some(error) if error.sqlstate.is_some() => Ok(PoolMode::Statement),
            _ => Err(error),
        };
    }
    if shares || pid(&second).await? == first {
        return Ok(PoolMode::Transaction);
    }
    for _ in 0..PROBE_ROUNDS {
        if pid(session).await? != first {
            return Ok(PoolMode::Transaction);
        }
    }
    Ok(PoolMode::Session)
}

async fn pid(session: &Session) -> Result<i32> {
    let row = session
        .query_one(include_str!("queries/backend_pid.sql"), &[])
        .await?;
    Ok(row.get("backend_pid"))
}

/// Fails unless the session keeps its server process; for everything that writes or takes locks.
pub async fn require_session(session: &Session, target: &Target) -> Result<PoolMode> {
    match mode(session, target).await? {
        mode @ (PoolMode::Direct | PoolMode::Session) => Ok(mode),
        mode => Err(refusal(mode, target).into()),
    }
}

fn refusal(mode: PoolMode, target: &Target) -> Failure {
    let kind = match mode {
        PoolMode::Statement => "statement",
        _ => "transaction",
    };
    let failure = refuse(format!(
        "`{target}` is a {kind}-mode pooler; advisory locks do not work through it; nothing was changed"
    ));
    let ways: Vec<String> = target
        .direct()
        .iter()
        .map(|way| format!("`{way}`"))
        .collect();
    if ways.is_empty() {
        failure.hint(
            "set direct-url (or DIRECT_URL) to the server itself, or to a pooler in session mode",
        )
    } else {
        failure.hint(format!(
            "set direct-url (or DIRECT_URL) to {}",
            ways.join(" or ")
        ))
    }
}
