//! Replaces a database with a finished one: both renames in one transaction.
//!
//! The rename itself makes new connections wait, so that no setting has to be changed first and reset after a
//! crash: whatever happens before the commit, the old database is as it was.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::emptiness::{self, EmptinessCandidate};
use crate::error::{Exit, refuse, with_exit};
use crate::event::silent;
use crate::pg::connect;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// What takes whose place.
pub struct Swap<'a> {
    /// The database that is finished.
    pub finished: &'a str,
    /// The name it takes.
    pub name: &'a str,
    /// The name the old one keeps its rows under.
    pub kept_as: &'a str,
    /// How many may connect to the finished one, once it has its name.
    pub connection_limit: i64,
    /// The old database if it must be empty, which is checked once no other session can write to it.
    pub must_be_empty: Option<EmptinessCandidate<'a>>,
}

/// What is known of the old database after a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OldDatabase {
    /// Empty, checked while no other session could connect; connections are disabled.
    Empty,
    /// Empty, except for these properties, which it keeps.
    Bare(Vec<String>),
    /// It may hold something.
    Kept,
}

/// Swaps over `session`, which is connected to another database; a second session on `target` ends the others'.
pub async fn run(session: &Session, target: &Target, swap: &Swap<'_>) -> Result<OldDatabase> {
    let other = connect::open(target, &silent).await?;
    let mut last = None;
    for _ in 0..3 {
        let attempt = RenameAttempt {
            session,
            other: &other,
            swap,
        };
        match attempt.run().await {
            Ok(old) => {
                other.close().await;
                return Ok(old);
            }
            Err(error) => {
                session.run(&Sql::new("ROLLBACK")).await?;
                let in_use = error
                    .downcast_ref::<ServerError>()
                    .is_some_and(|server| server.is("55006"));
                if error.is::<crate::error::Failure>() {
                    return Err(error);
                }
                if !in_use {
                    return Err(error.context(format!(
                        "swapping the names of `{}` and `{}`",
                        swap.name, swap.finished
                    )));
                }
                last = Some(error);
            }
        }
    }
    let why = last.map(|error| format!(": {error}")).unwrap_or_default();
    Err(with_exit(
        Exit::Busy,
        format!(
            "database `{}` is still in use; nothing was changed{why}",
            swap.name
        ),
    )
    .hint("end its connections and try again")
    .into())
}

/// One attempt to rename, which the server cancels after five seconds if another session stays connected.
struct RenameAttempt<'a> {
    session: &'a Session,
    other: &'a Session,
    swap: &'a Swap<'a>,
}

impl RenameAttempt<'_> {
    async fn run(&self) -> Result<OldDatabase> {
        // Connects before the rename starts, which waits until this session has checked the database and left.
        let mut looker = match &self.swap.must_be_empty {
            Some(candidate) => {
                let inside = candidate.target.with_database(self.swap.name);
                Some(connect::open(&inside, &silent).await?)
            }
            None => None,
        };
        let mut seen = None;
        let renaming = self.rename();
        tokio::pin!(renaming);
        let renamed = loop {
            let looking = self.shut_out(looker.as_ref());
            tokio::select! {
                renamed = &mut renaming => break renamed,
                looked = looking => match (looked, looker.take()) {
                    (Ok(properties), Some(inside)) => {
                        seen = Some(properties);
                        inside.close().await;
                    }
                    (looked, inside) => {
                        // The rename must have ended before the session does that it waits for.
                        self.cancel().await?;
                        let renamed = renaming.await;
                        drop(inside);
                        if renamed.is_err() {
                            looked?;
                        }
                        break renamed;
                    }
                },
            }
        };
        renamed?;
        let kept = Ident::new(self.swap.kept_as);
        match seen {
            Some(properties) if properties.is_empty() => Ok(OldDatabase::Empty),
            Some(properties) => {
                let open = Sql::fill("ALTER DATABASE {} ALLOW_CONNECTIONS true", &[&kept]);
                self.session.run(&open).await?;
                Ok(OldDatabase::Bare(properties))
            }
            None if self.swap.must_be_empty.is_some() => {
                let open = Sql::fill(
                    "ALTER DATABASE {} ALLOW_CONNECTIONS true CONNECTION LIMIT 0",
                    &[&kept],
                );
                self.session.run(&open).await?;
                Ok(OldDatabase::Kept)
            }
            None => Ok(OldDatabase::Kept),
        }
    }

    async fn rename(&self) -> Result<()> {
        let swap = self.swap;
        let (finished, name, kept_as) = (
            Ident::new(swap.finished),
            Ident::new(swap.name),
            Ident::new(swap.kept_as),
        );
        let mut sql = Sql::fill(
            "BEGIN; ALTER DATABASE {} RENAME TO {}; ALTER DATABASE {} RENAME TO {}; \
             ALTER DATABASE {} CONNECTION LIMIT {}; ALTER DATABASE {} ",
            &[
                &name,
                &kept_as,
                &finished,
                &name,
                &name,
                &swap.connection_limit,
                &kept_as,
            ],
        );
        sql.push(if swap.must_be_empty.is_some() {
            // An empty database is dropped; no session may write to it in between.
            "ALLOW_CONNECTIONS false"
        } else {
            // The limit keeps the old rows from being written to by mistake; a superuser can still look.
            "CONNECTION LIMIT 0"
        });
        self.session.run(sql.push("; COMMIT")).await
    }

    /// Terminates the sessions on both databases until the rename is done; with a `looker`, returns as soon as no other session
    /// is connected, with the properties of the old database or an error if it is not empty.
    async fn shut_out(&self, looker: Option<&Session>) -> Result<Vec<String>> {
        let looker_pid = looker.map_or(0, |looker| looker.server_info().backend_pid);
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            self.other
                .query(
                    "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity AS a \
                     WHERE a.datname IN ($1, $2) AND a.pid NOT IN (pg_catalog.pg_backend_pid(), $3) \
                     AND coalesce(a.backend_type, '') <> 'autovacuum worker'",
                    &[
                        (&self.swap.name, Type::TEXT),
                        (&self.swap.finished, Type::TEXT),
                        (&looker_pid, Type::INT4),
                    ],
                )
                .await
                .context("terminating connections to the old database")?;
            let (Some(inside), Some(candidate)) = (looker, &self.swap.must_be_empty) else {
                continue;
            };
            let alone = self
                .other
                .query_one(
                    include_str!("queries/end_sessions.sql"),
                    &[
                        (&self.swap.name, Type::TEXT),
                        (&self.session.server_info().backend_pid, Type::INT4),
                        (&looker_pid, Type::INT4),
                    ],
                )
                .await?;
            if alone.get(0) {
                let found = emptiness::contents(inside, candidate).await?;
                not_empty(self.swap.name, &found.objects)?;
                return Ok(found.properties);
            }
        }
    }

    async fn cancel(&self) -> Result<()> {
        let pid = self.session.server_info().backend_pid;
        self.other
            .query(
                "SELECT pg_catalog.pg_cancel_backend($1)",
                &[(&pid, Type::INT4)],
            )
            .await
            .context("cancelling the rename")?;
        Ok(())
    }
}

/// Refuses to replace a database that holds something.
pub(super) fn not_empty(name: &str, found: &[String]) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    Err(refuse(format!(
        "database `{name}` is not empty ({}); nothing was restored",
        emptiness::in_words(found)
    ))
    .hint("restore into a new database with --into, or replace this one with --swap (the old one is kept)")
    .into())
}
