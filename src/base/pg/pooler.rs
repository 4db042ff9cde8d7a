//! Owns finding out whether a pooler stands in between, of what kind, and refusing to write through the wrong kind.
//!
//! Session state is lost, or worse, passed on to other clients, where a connection is shared between transactions:
//! two runners both hold the same advisory lock, settings reach the application's sessions, timeouts do not hold.

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

/// How long the second connection of the probe may wait for a server process.
const PROBE_PATIENCE: Duration = Duration::from_secs(3);

/// How often the first connection asks whether it still has its server process.
///
/// A pooler gives out the process used last, so once is enough; one that takes turns needs as many as it has idle.
const PROBE_ROUNDS: usize = 5;

/// Finds out how the connection of a session is shared.
///
/// Costs nothing where the identity question has shown that nothing stands in between; else a second connection.
pub async fn mode(session: &Session, target: &Target) -> Result<PoolMode> {
    if let Some(mode) = session.pooling() {
        return Ok(mode);
    }
    let mode = match timeout(PROBE_PATIENCE, probe(session, target)).await {
        Ok(mode) => mode.context("finding out how the pooler shares its connections")?,
        // Neither connection gets a process while the other has one: a pool this small cannot be told apart, and
        // must not be trusted.
        Err(_) => PoolMode::Transaction,
    };
    if mode == PoolMode::Session {
        session_setup::apply_settings(session).await?;
    }
    session.learn_pooling(mode);
    Ok(mode)
}

/// Holds a transaction on a second connection and looks whether the first one had to give way.
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

/// Refuses to go on unless the session keeps its server process; for everything that writes or takes locks.
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
        "`{target}` is a pooler in {kind} mode, through which no lock holds; nothing was done"
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
