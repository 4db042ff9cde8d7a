//! Puts a finished database in the place of another: both renames in one transaction, or nothing.
//!
//! The rename itself keeps newcomers waiting at the door, so that no setting has to be changed first and undone after a
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
    /// The old database where it may be replaced only if it is empty, which is asked once nobody else can write to it any more.
    pub must_be_empty: Option<EmptinessCandidate<'a>>,
}

/// What is known of the old database after a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OldDatabase {
    /// It was seen to be empty while nobody else could enter it, and lets nobody in any more.
    Empty,
    /// It was seen to hold nothing, but has these properties, which it keeps.
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
            "`{}` is still in use and was left as it was{why}",
            swap.name
        ),
    )
    .hint("end what is connected to it and try again")
    .into())
}

/// One try to rename, which the server gives up after five seconds when somebody stays connected.
struct RenameAttempt<'a> {
    session: &'a Session,
    other: &'a Session,
    swap: &'a Swap<'a>,
}

impl RenameAttempt<'_> {
    async fn run(&self) -> Result<OldDatabase> {
        // Connected before the doors close: the rename waits until this session has looked around and left.
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
            // Found empty, it is dropped; nobody may write to it between the two.
            "ALLOW_CONNECTIONS false"
        } else {
            // The limit keeps the old rows from being written to by mistake; a superuser can still look.
            "CONNECTION LIMIT 0"
        });
        self.session.run(sql.push("; COMMIT")).await
    }

    /// Ends the sessions on both databases again and again until the rename is through; with somebody to look returns as soon
    /// as nobody else is in: with the properties of the old database, or an error where it holds something.
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
                .context("ending the sessions on the old database")?;
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
            .context("stopping the rename")?;
        Ok(())
    }
}

/// Refuses to replace a database that holds something.
pub(super) fn not_empty(name: &str, found: &[String]) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    Err(refuse(format!(
        "the database `{name}` is not empty, it has {}; nothing was restored",
        emptiness::in_words(found)
    ))
    .hint("name another with --into, or take its place with --swap; the old one is kept")
    .into())
}
