//! The row in a database that says that it is a protected environment.
//!
//! It lies beside the journal, so that every address, machine and project folder leads to it. It holds the identity of
//! the database it was written in: a dump that is restored elsewhere takes the row along, and there it counts for nothing.

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::sql::safe::Sql;

/// A protected environment, as its database remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectionMarker {
    /// The environment's name.
    pub environment: String,
    /// What it requires before it is changed.
    pub require: Vec<String>,
    /// The public keys of its approvers.
    pub approvers: Vec<String>,
    /// How many of them have to sign, where that was said.
    pub approvals: Option<i32>,
}

/// The name in the row by which a database says that its protection was lifted; no environment is called so.
const LIFTED: &str = "";

/// What a database says about its protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It has no table for it: no protected environment was ever changed here.
    Unrecorded,
    /// The table is there, and this role may not see every row of it.
    Unreadable,
    /// A row of this very database says that a person lifted the protection.
    Lifted,
    /// The environments that this very database is; none if all rows came with a dump of another one, or there are no rows.
    Recorded(Vec<ProtectionMarker>),
}

/// Reads what a database says about its protection.
pub async fn read(session: &Session) -> Result<Protection> {
    match session.server_info().reads_protection {
        None => return Ok(Protection::Unrecorded),
        Some(false) => return Ok(Protection::Unreadable),
        Some(true) => {}
    }
    let system_identifier = session.server_info().system_identifier;
    let rows = session
        .query(
            include_str!("queries/protection_read.sql"),
            &[(&system_identifier as _, Type::INT8)],
        )
        .await?;
    let own = rows.iter().filter(|row| row.get("own"));
    let own: Vec<ProtectionMarker> = own
        .map(|row| ProtectionMarker {
            environment: row.get("environment"),
            require: row.get("require"),
            approvers: row.get("approvers"),
            approvals: row.get("approvals"),
        })
        .collect();
    let (lifted, markers): (Vec<ProtectionMarker>, Vec<ProtectionMarker>) =
        own.into_iter().partition(|one| one.environment == LIFTED);
    match markers.is_empty() && !lifted.is_empty() {
        true => Ok(Protection::Lifted),
        false => Ok(Protection::Recorded(markers)),
    }
}

/// Writes that the database of a session is a protected environment.
pub async fn write(session: &Session, marker: &ProtectionMarker) -> Result<()> {
    create(session).await?;
    let lifted = "DELETE FROM af_db.protection WHERE environment OPERATOR(pg_catalog.=) ''";
    session.execute(lifted, &[]).await?;
    insert(session, marker).await
}

async fn insert(session: &Session, marker: &ProtectionMarker) -> Result<()> {
    session
        .execute(
            include_str!("queries/protection_write.sql"),
            &[
                (&marker.environment as _, Type::TEXT),
                (&session.server_info().system_identifier as _, Type::INT8),
                (&marker.require as _, Type::TEXT_ARRAY),
                (&marker.approvers as _, Type::TEXT_ARRAY),
                (&marker.approvals as _, Type::INT4),
            ],
        )
        .await?;
    Ok(())
}

/// Writes that the database of a session is no protected environment, in a row of its own: a table that shows no row may
/// have been emptied by anybody, or hide its rows.
pub async fn clear(session: &Session) -> Result<()> {
    create(session).await?;
    session.execute("DELETE FROM af_db.protection", &[]).await?;
    let lifted = ProtectionMarker {
        environment: LIFTED.to_owned(),
        require: Vec::new(),
        approvers: Vec::new(),
        approvals: None,
    };
    insert(session, &lifted).await
}

async fn create(session: &Session) -> Result<()> {
    if session.server_info().reads_protection.is_none() {
        let create = Sql::new(include_str!("queries/protection_create.sql"));
        session.run(&create).await?;
        // That the schema was there already is no news.
        session.take_notices();
    }
    Ok(())
}
