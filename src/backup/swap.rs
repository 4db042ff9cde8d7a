//! Owns putting a finished database in the place of another: both renames in one transaction, or nothing.
//!
//! The rename itself keeps newcomers waiting at the door, so that no setting has to be changed first and undone after a
//! crash: whatever happens before the commit, the old database is as it was.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::error::{Exit, with_exit};
use crate::event::silent;
use crate::pg::connect;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// What takes whose place.
#[derive(Clone, Debug)]
pub struct Swap<'a> {
    /// The database that is finished.
    pub finished: &'a str,
    /// The name it takes.
    pub name: &'a str,
    /// The name the old one keeps its rows under.
    pub kept_as: &'a str,
    /// How many may connect to the finished one, once it has its name.
    pub connection_limit: i64,
}

/// Swaps over `session`, which is connected to another database; a second session on `target` ends the others'.
pub async fn run(session: &Session, target: &Target, swap: &Swap<'_>) -> Result<()> {
    let other = connect::open(target, &silent).await?;
    let mut last = None;
    for _ in 0..3 {
        let renaming = rename(session, swap);
        let ending = end_sessions(&other, swap);
        let renamed = tokio::select! {
            renamed = renaming => renamed,
            ended = ending => ended.and(Ok(())),
        };
        match renamed {
            Ok(()) => {
                other.close().await;
                return Ok(());
            }
            Err(error) => {
                session.run(&Sql::new("ROLLBACK")).await?;
                let in_use = error
                    .downcast_ref::<ServerError>()
                    .is_some_and(|server| server.is("55006"));
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

async fn rename(session: &Session, swap: &Swap<'_>) -> Result<()> {
    let (finished, name, kept_as) = (
        Ident::new(swap.finished),
        Ident::new(swap.name),
        Ident::new(swap.kept_as),
    );
    // The limit keeps the old rows from being written to by mistake; a superuser can still look.
    let sql = Sql::fill(
        "BEGIN; ALTER DATABASE {} RENAME TO {}; ALTER DATABASE {} RENAME TO {}; \
         ALTER DATABASE {} CONNECTION LIMIT {}; ALTER DATABASE {} CONNECTION LIMIT 0; COMMIT",
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
    session.run(&sql).await
}

/// Ends the sessions on both databases again and again, until the rename is through.
async fn end_sessions(other: &Session, swap: &Swap<'_>) -> Result<()> {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        other
            .query(
                "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity AS a \
                 WHERE a.datname IN ($1, $2) AND a.pid <> pg_catalog.pg_backend_pid()",
                &[(&swap.name, Type::TEXT), (&swap.finished, Type::TEXT)],
            )
            .await
            .context("ending the sessions on the old database")?;
    }
}
