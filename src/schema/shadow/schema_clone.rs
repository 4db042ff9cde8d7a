//! Creates a shadow database with the schema of another database, without its rows.

use anyhow::Result;

use crate::catalog::{Catalog, Kind, Scope, read};
use crate::diff::ddl::{self, Options, Statement};
use crate::event::silent;
use crate::migrate::files::Migration;
use crate::pg::connect;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::pg::shadow_server::ShadowServer;
use crate::pg::supabase;
use crate::shadow::Shadow;
use crate::sql::safe::Sql;

/// Statements that are sent as one message while nothing goes wrong.
const TOGETHER: usize = 100;

/// A shadow, and what of the other database it lacks.
pub struct SchemaClone {
    pub shadow: Shadow,
    /// What could not be built, each with the server's words.
    pub lacking: Vec<String>,
}

/// Returns the scope in which a target is to be read so that a shadow database can be built from it.
pub fn scope() -> Scope {
    Scope {
        roles: true,
        ..Scope::whole()
    }
}

/// Builds a shadow database from the catalog of a target, read in the [`scope`].
///
/// All migrations of the project are looked at to tell whether they expect Supabase.
pub async fn build(
    scratch: &ShadowServer,
    name: &str,
    target: &Catalog,
    project: &[Migration],
) -> Result<SchemaClone> {
    let address = scratch.database(name).await?;
    let session = connect::open(&address, &silent).await?;
    if supabase::is_expected(project.iter().map(|migration| &*migration.up.text)) {
        supabase::prepare(&session).await?;
    }
    let from = read::read(&session, &scope()).await?;
    let (from, to) = comparable(&from, target);
    let options = Options {
        column_order: false,
        online: false,
    };
    let statements = ddl::statements(&from, &to, &options);
    session
        .run(&Sql::new(
            "SET check_function_bodies = off; SET client_min_messages = error",
        ))
        .await?;
    let mut lacking = Vec::new();
    let mut rest = statements.as_slice();
    while !rest.is_empty() {
        let alone = rest.iter().position(|statement| statement.alone);
        let until = match alone {
            Some(0) => 1,
            Some(at) => at.min(TOGETHER),
            None => rest.len().min(TOGETHER),
        };
        let (now, later) = rest.split_at(until);
        lacking.extend(run(&session, now).await?);
        rest = later;
    }
    // What was in the way of each other is not in the way of what people run.
    session.run(&Sql::new("RESET ALL")).await?;
    session.close().await;
    let session = connect::open(&address, &silent).await?;
    Ok(SchemaClone {
        shadow: Shadow {
            target: address,
            session,
        },
        lacking,
    })
}

/// Leaves out what the servers need not have in common, and what neither can make: roles that are there, the database
/// itself.
fn comparable(from: &Catalog, to: &Catalog) -> (Catalog, Catalog) {
    let global = |kind: Kind| matches!(kind, Kind::Role | Kind::Database | Kind::SystemGrant);
    let kept = from.retain(|key, _| !global(key.kind));
    let wanted = to.retain(|key, _| {
        let there = key.kind == Kind::Role && from.get(key).is_some();
        let none = matches!(
            key.kind,
            Kind::Database | Kind::SystemGrant | Kind::Subscription | Kind::EventTrigger
        );
        !there && !none
    });
    (kept, wanted)
}

/// Runs statements as one message; where that fails, one after the other.
async fn run(session: &Session, statements: &[Statement]) -> Result<Vec<String>> {
    let all = Sql::join(statements.iter().map(|statement| &statement.sql), ";\n");
    if session.run(&all).await.is_ok() {
        return Ok(Vec::new());
    }
    let mut lacking = Vec::new();
    for statement in statements {
        let Err(error) = session.run(&statement.sql).await else {
            continue;
        };
        match error.downcast_ref::<ServerError>() {
            Some(server) if !server.closed => {
                lacking.push(format!("{}: {}", statement.about, server.message));
            }
            _ => return Err(error),
        }
    }
    Ok(lacking)
}
