//! Owns another session of the same server, as it is shown to the person it keeps waiting.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::sql::redact;

/// Another session of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its process; 0 stands for a prepared transaction.
    pub pid: i32,
    /// Whether it waits for a lock itself.
    pub waits: bool,
    pub role: Option<String>,
    /// What it calls itself.
    pub application: Option<String>,
    /// The address it comes from; absent on a Unix socket.
    pub client: Option<String>,
    /// What it is: `client backend`, `autovacuum worker`, …; absent where we may not know.
    pub kind: Option<String>,
    /// What it is doing: `active`, `idle in transaction`, …; absent where we may not know.
    pub state: Option<String>,
    /// How long it has been connected.
    pub connected: Option<Duration>,
    /// How long its transaction has been open.
    pub transaction: Option<Duration>,
    /// The head of its last statement; absent where we may not know.
    pub query: Option<String>,
}

/// How much of a statement is shown.
const HEAD: usize = 80;

impl Backend {
    /// Returns whether this is an autovacuum that gives way to whoever waits for longer than `deadlock_timeout`.
    pub fn gives_way(&self) -> bool {
        self.is_autovacuum() && !self.prevents_wraparound()
    }

    /// Returns whether this is an autovacuum that never gives way.
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

/// Tells who a process waits for, the oldest transaction first; empty when it waits for nobody.
///
/// Must be asked on another session than the one that waits.
pub async fn blockers(session: &Session, pid: i32) -> Result<Vec<Backend>> {
    let rows = session
        .query(include_str!("queries/blockers.sql"), &[(&pid, Type::INT4)])
        .await?;
    Ok(rows.iter().map(backend).collect())
}

/// Tells who has, or waits for, a lock that conflicts with the ones wanted; holders first.
///
/// Wanted are relations, as the server prints their names, with a mode as `pg_locks` spells it (`AccessExclusiveLock`).
pub async fn in_the_way(session: &Session, wanted: &[(&str, &str)]) -> Result<Vec<Backend>> {
    let (relations, modes): (Vec<&str>, Vec<&str>) = wanted.iter().copied().unzip();
    let rows = session
        .query(
            include_str!("queries/in_the_way.sql"),
            &[(&relations, Type::TEXT_ARRAY), (&modes, Type::TEXT_ARRAY)],
        )
        .await?;
    Ok(rows.iter().map(backend).collect())
}

/// Reads the columns that the queries about other sessions share.
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
    // Statements of ours, and of others who explain theirs, begin with a comment.
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

/// Says a length of time as people do.
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
            return f.write_str(", what it does is hidden from this role");
        }
        if let Some(state) = &self.state {
            write!(f, ", {state}")?;
        }
        if let Some(time) = self.transaction {
            write!(f, ", in a transaction for {}", age(time))?;
        }
        // What an idle session ran last has nothing to do with what it holds.
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
    fn tells_what_a_person_needs_to_find_the_other_one() {
        insta::assert_snapshot!(session(), @"process 42 (role `app`, application `psql`, from 10.0.0.7), idle in transaction, in a transaction for 3 min: UPDATE a SET b = 1");
        let hidden = Backend {
            kind: None,
            state: None,
            query: None,
            transaction: None,
            ..session()
        };
        insta::assert_snapshot!(hidden, @"process 42 (role `app`, application `psql`, from 10.0.0.7), what it does is hidden from this role");
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
    fn an_autovacuum_gives_way_unless_it_prevents_wraparound() {
        let vacuum = |query: &str| Backend {
            kind: Some("autovacuum worker".to_owned()),
            query: Some(query.to_owned()),
            ..session()
        };
        assert!(!session().gives_way());
        assert!(vacuum("autovacuum: VACUUM public.a").gives_way());
        assert!(
            vacuum("autovacuum: VACUUM public.a (to prevent wraparound)").prevents_wraparound()
        );
        assert!(!vacuum("autovacuum: VACUUM public.a (to prevent wraparound)").gives_way());
    }
}
