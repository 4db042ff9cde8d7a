//! Copies a database's schema into a shadow database: roles, memberships, settings, then everything pg_dump writes, without rows.
//!
//! The database copied is only read.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::catalog::{Scope, read};
use crate::diff::ddl;
use crate::event::Watch;
use crate::pg::connect;
use crate::pg::embedded::Options;
use crate::pg::program::Program;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::pg::shadow_server::ShadowServer;
use crate::pg::supabase;
use crate::pg::target::Target;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;
use crate::sql::split;
use crate::tenancy::Tenancy;

/// What of the database copied matters to the proof and is not in its schema.
#[derive(Clone, Debug, Default)]
pub struct SourceInfo {
    /// The version of its server.
    pub version: i64,
    /// Who owns its large objects, the most frequent first.
    pub owners: Vec<String>,
    /// Tables whose statistics reveal tenants.
    pub analysed: Vec<String>,
    /// Statements that the shadow server refused, and why.
    pub refused: Vec<String>,
}

/// Copies roles and schema of `source` into a fresh database of a shadow server, and reads what matters beside.
///
/// pg_dump writes the schema where there is one of a fitting version; else it is written from the catalog.
pub async fn schema(
    source: &Target,
    scratch: &ShadowServer,
    options: &Options,
    tenancy: &Tenancy,
    watch: Watch<'_>,
) -> Result<(Target, SourceInfo)> {
    let session = connect::open(source, watch).await?;
    let mut source_info = source_info_on(&session, tenancy).await?;
    let copy = scratch.database("proof").await?;
    let onto = connect::open(&copy, watch).await?;
    roles(&session, &onto, copy.database()).await?;
    // Under the platform's own schemas pg_dump finds what is there already.
    source_info.refused = match dump(source, options).await? {
        Some(text) => replay(&onto, &text).await?,
        None => written(&session, &onto).await?,
    };
    onto.close().await;
    session.close().await;
    Ok((copy, source_info))
}

/// Makes the schema from what the catalog says, statement by statement.
async fn written(session: &Session, onto: &Session) -> Result<Vec<String>> {
    let row = session
        .query_one(
            "SELECT pg_catalog.to_regclass('auth.users') IS NOT NULL",
            &[],
        )
        .await?;
    if row.get(0) {
        supabase::prepare(onto).await?;
    }
    let scope = Scope::whole();
    let wanted = read::read(session, &scope).await?;
    let there = read::read(onto, &scope).await?;
    let options = ddl::Options {
        column_order: true,
        online: false,
    };
    let mut refused = Vec::new();
    for statement in ddl::statements(&there, &wanted, &options) {
        refused.extend(attempt(onto, statement.sql).await?);
    }
    onto.run(&Sql::new("RESET ALL")).await?;
    Ok(refused)
}

/// Runs one statement; a refusal is kept in words.
async fn attempt(onto: &Session, sql: Sql) -> Result<Option<String>> {
    let Err(error) = onto.run(&sql).await else {
        return Ok(None);
    };
    let server = error
        .downcast_ref::<ServerError>()
        .filter(|server| !server.closed);
    let Some(server) = server else {
        return Err(error);
    };
    // What is there already, as the platform's own schemas are, is not missing.
    let there = ["42P06", "42P07", "42710", "42723", "42P16", "42701"];
    if there.iter().any(|code| server.is(code)) {
        return Ok(None);
    }
    let head: String = sql
        .as_str()
        .split_whitespace()
        .take(8)
        .collect::<Vec<_>>()
        .join(" ");
    Ok(Some(format!("{head} …: {}", server.message)))
}

/// Reads what the schema does not say.
pub async fn source_info(
    source: &Target,
    tenancy: &Tenancy,
    watch: Watch<'_>,
) -> Result<SourceInfo> {
    source_info_on(&connect::open(source, watch).await?, tenancy).await
}

async fn source_info_on(session: &Session, tenancy: &Tenancy) -> Result<SourceInfo> {
    let row = session
        .query_one(
            include_str!("queries/copied_grounds.sql"),
            &[(&tenancy.column, Type::TEXT)],
        )
        .await
        .context("reading statistics and owners of large objects")?;
    Ok(SourceInfo {
        version: row.get(0),
        owners: row.get(1),
        analysed: row.get(2),
        refused: Vec::new(),
    })
}

async fn roles(source: &Session, onto: &Session, copy: &str) -> Result<()> {
    let rows = source
        .query(include_str!("queries/copied_roles.sql"), &[])
        .await
        .context("reading the roles")?;
    let mut closed = false;
    for row in rows {
        let (rank, role, other, words): (i32, String, Option<String>, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let name = Ident::new(role.as_str());
        let words = words.as_str();
        let other = Ident::new(other.unwrap_or_default());
        let database = Sql::fill("{}", &[&Ident::new(copy)]);
        let sql = match rank {
            1 => Sql::fill(
                "CREATE ROLE {} {}",
                &[&name, &Sql::printed_by_server(words)],
            ),
            2 => Sql::fill(
                "GRANT {} TO {} {}",
                &[&other, &name, &Sql::printed_by_server(words)],
            ),
            3 => {
                let value = setting(other.as_str(), words);
                let whose = if role.is_empty() {
                    Sql::fill("DATABASE {}", &[&database])
                } else {
                    Sql::fill("ROLE {}", &[&name])
                };
                Sql::fill(
                    "ALTER {} SET {} TO {}",
                    &[&whose, &Sql::printed_by_server(other.as_str()), &value],
                )
            }
            _ => {
                if !closed {
                    onto.run(&Sql::fill(
                        "REVOKE ALL ON DATABASE {} FROM PUBLIC",
                        &[&database],
                    ))
                    .await?;
                    closed = true;
                }
                let whom = if role == "public" {
                    Sql::new("PUBLIC")
                } else {
                    Sql::fill("{}", &[&name])
                };
                Sql::fill(
                    "GRANT {} ON DATABASE {} TO {}",
                    &[&Sql::printed_by_server(words), &database, &whom],
                )
            }
        };
        // A role that is there already, such as the one the server was made with, stays as it is.
        let _ = onto.run(&sql).await;
    }
    Ok(())
}

/// A list of names is given as names: quoted as one, it would be one name.
fn setting(name: &str, value: &str) -> Sql {
    if name != "search_path" {
        return Sql::fill("{}", &[&Literal::new(value)]);
    }
    Sql::join(
        value
            .split(',')
            .map(|item| Literal::new(item.trim().trim_matches('"'))),
        ", ",
    )
}

/// Returns the schema as pg_dump writes it, where there is one that can.
async fn dump(source: &Target, options: &Options) -> Result<Option<String>> {
    let mut places: Vec<PathBuf> = options.binaries.iter().cloned().collect();
    places.extend(options.path.iter().cloned());
    places.extend(
        [18, 17, 16, 15, 14].map(|major| PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"))),
    );
    for place in places {
        let program = place.join("pg_dump");
        if !program.exists() {
            continue;
        }
        let mut tool = Program::new(&program).args([
            "--schema-only",
            "--no-comments",
            "--no-tablespaces",
            "--no-subscriptions",
            "--no-security-labels",
            "--no-password",
        ]);
        for (name, value) in source.environment() {
            tool = tool.env(name, value);
        }
        let done = tool.run().await?;
        if done.status.success() {
            return Ok(Some(done.text()));
        }
    }
    Ok(None)
}
/// Runs the dump: at once where it fits, else statement by statement, leaving out what the shadow server does not have.
async fn replay(onto: &Session, text: &str) -> Result<Vec<String>> {
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .flat_map(|line| [line, "\n"])
        .collect();
    // The dump makes the schema `public` where its owner or comment was changed.
    let whole = Sql::written_by_user(text.replace(
        "CREATE SCHEMA public;",
        "CREATE SCHEMA IF NOT EXISTS public;",
    ));
    let once = Sql::fill("BEGIN; {} COMMIT", &[&whole]);
    let mut refused = Vec::new();
    if onto.run(&once).await.is_err() {
        onto.run(&Sql::new("ROLLBACK")).await?;
        for statement in split::split(whole.as_str()) {
            refused.extend(attempt(onto, Sql::written_by_user(statement.text)).await?);
        }
    }
    onto.run(&Sql::new("RESET ALL")).await?;
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_path_is_a_list() {
        assert_eq!(
            setting("search_path", "\"$user\", public").as_str(),
            "'$user', 'public'"
        );
        assert_eq!(setting("row_security", "off").as_str(), "'off'");
    }
}
