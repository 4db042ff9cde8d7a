//! Another session of the same server, as shown to the user who waits for its lock.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::sql::redact;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// 0 for a prepared transaction.
    pub pid: i32,
    /// Whether it is itself waiting for a lock.
    pub waits: bool,
    pub role: Option<String>,
    /// Its `application_name`.
    pub application: Option<String>,
    /// The client's IP address; absent on a Unix socket.
    pub client: Option<String>,
    /// `client backend`, `autovacuum worker`, …; absent without the privilege to see it.
    pub kind: Option<String>,
    /// `active`, `idle in transaction`, …; absent without the privilege to see it.
    pub state: Option<String>,
    /// Time since it connected.
    pub connected: Option<Duration>,
    /// Time since its transaction began.
    pub transaction: Option<Duration>,
    /// The start of its last statement; absent without the privilege to see it.
    pub query: Option<String>,
}

/// The length of the statement shown.
const HEAD: usize = 80;

impl Backend {
    /// Recognises an autovacuum that is cancelled when another session waits longer than `deadlock_timeout`.
    pub fn is_cancellable_autovacuum(&self) -> bool {
        self.is_autovacuum() && !self.prevents_wraparound()
    }

    /// Recognises an autovacuum that is never cancelled.
    pub fn prevents_wraparound(&self) -> bool {
        self.is_autovacuum()
            && self
                .query
                .as_deref()
                .is_some_and(|query| query.contains("to prevent wraparound"))
    }

    fn is_autovacuum(&self) -> bool {
        self.kind.as_deref() == Some("autovacuum worker")
    }
}

/// Returns the sessions that a process waits for, the oldest transaction first.
///
/// Must be queried on a session other than the waiting one.
pub async fn blockers(session: &Session, pid: i32) -> Result<Vec<Backend>> {
    let rows = session
        .query(include_str!("queries/blockers.sql"), &[(&pid, Type::INT4)])
        .await?;
    Ok(rows.iter().map(backend).collect())
}

/// Returns the sessions that hold, or wait for, a lock that conflicts with the wanted ones; holders first.
///
/// `wanted` are relations, as the server prints their names, with a lock mode as in `pg_locks` (`AccessExclusiveLock`).
pub async fn lock_conflicts(session: &Session, wanted: &[(&str, &str)]) -> Result<Vec<Backend>> {
    let (relations, modes): (Vec<&str>, Vec<&str>) = wanted.iter().copied().unzip();
    let rows = session
        .query(
            include_str!("queries/lock_conflicts.sql"),
            &[(&relations, Type::TEXT_ARRAY), (&modes, Type::TEXT_ARRAY)],
        )
        .await?;
    Ok(rows.iter().map(backend).collect())
}

/// Reads the columns shared by the queries about other sessions.
pub(super) fn backend(row: &Row) -> Backend {
    let text = |column: &str| {
        row.get::<_, Option<String>>(column)
            .filter(|text| !text.is_empty())
    };
    let age = |column: &str| {
        row.get::<_, Option<f64>>(column)
            .map(|seconds| Duration::from_secs_f64(seconds.max(0.0)))
    };
    Backend {
        pid: row.get("pid"),
        waits: row.get("waits"),
        role: text("role"),
        application: text("application"),
        client: text("client"),
        kind: text("kind"),
        state: text("state"),
        connected: age("connected"),
        transaction: age("transaction"),
        query: text("query")
            .filter(|query| query != "<insufficient privilege>")
            .map(|query| head(&query)),
    }
}

fn head(query: &str) -> String {
    // Our own statements, and those of careful applications, begin with a comment.
    let query = redact::beginning(query);
    let text = query
        .lines()
        .skip_while(|line| line.trim().is_empty() || line.trim_start().starts_with("--"))
        .collect::<Vec<_>>()
        .join(" ");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(HEAD) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

/// Formats a duration in its largest sensible unit.
pub fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("a prepared transaction (see pg_prepared_xacts)");
        }
        write!(f, "process {}", self.pid)?;
        let mut who = Vec::new();
        if let Some(kind) = self
            .kind
            .as_deref()
            .filter(|kind| *kind != "client backend")
        {
            who.push(kind.to_owned());
        }
        if let Some(role) = &self.role {
            who.push(format!("role `{role}`"));
        }
        if let Some(application) = &self.application {
            who.push(format!("application `{application}`"));
        }
        if let Some(client) = &self.client {
            who.push(format!("from {client}"));
        }
        if !who.is_empty() {
            write!(f, " ({})", who.join(", "))?;
        }
        if self.state.is_none() && self.kind.is_none() {
            return f.write_str(", activity not visible to this role");
        }
        if let Some(state) = &self.state {
            write!(f, ", {state}")?;
        }
        if let Some(time) = self.transaction {
            write!(f, ", in a transaction for {}", age(time))?;
        }
        // The last statement of an idle session says nothing about its locks.
        let idle = self.state.as_deref() == Some("idle");
        if let Some(query) = self.query.as_ref().filter(|_| !idle) {
            write!(f, ": {query}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Backend {
        Backend {
            pid: 42,
            waits: false,
            role: Some("app".to_owned()),
            application: Some("psql".to_owned()),
            client: Some("10.0.0.7".to_owned()),
            kind: Some("client backend".to_owned()),
            state: Some("idle in transaction".to_owned()),
            connected: Some(Duration::from_secs(400)),
            transaction: Some(Duration::from_secs(190)),
            query: Some(head("UPDATE  a\n SET b = 1")),
        }
    }

    #[test]
    fn a_session_is_shown_with_what_identifies_it() {
        insta::assert_snapshot!(session(), @"process 42 (role `app`, application `psql`, from 10.0.0.7), idle in transaction, in a transaction for 3 min: UPDATE a SET b = 1");
        let hidden = Backend {
            kind: None,
            state: None,
            query: None,
            transaction: None,
            ..session()
        };
        insta::assert_snapshot!(hidden, @"process 42 (role `app`, application `psql`, from 10.0.0.7), activity not visible to this role");
        let idle = Backend {
            state: Some("idle".to_owned()),
            transaction: None,
            query: Some(head("-- one row\nSELECT 1")),
            ..session()
        };
        assert_eq!(idle.query.as_deref(), Some("SELECT 1"));
        insta::assert_snapshot!(idle, @"process 42 (role `app`, application `psql`, from 10.0.0.7), idle");
        insta::assert_snapshot!(Backend { pid: 0, ..hidden }, @"a prepared transaction (see pg_prepared_xacts)");
    }

    #[test]
    fn an_autovacuum_is_cancellable_unless_it_prevents_wraparound() {
        let vacuum = |query: &str| Backend {
            kind: Some("autovacuum worker".to_owned()),
            query: Some(query.to_owned()),
            ..session()
        };
        assert!(!session().is_cancellable_autovacuum());
        assert!(vacuum("autovacuum: VACUUM public.a").is_cancellable_autovacuum());
        assert!(
            vacuum("autovacuum: VACUUM public.a (to prevent wraparound)").prevents_wraparound()
        );
        assert!(
            !vacuum("autovacuum: VACUUM public.a (to prevent wraparound)")
                .is_cancellable_autovacuum()
        );
    }
}
