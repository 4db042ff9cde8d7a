//! The row in a database that marks it as a protected environment.
//!
//! It is stored beside the journal, so that it is found from every URL, machine and project folder. It contains the
//! identity of its database: a dump restored elsewhere includes the row, and there it has no effect.

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::sql::safe::Sql;

/// A protected environment, as recorded in its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectionMarker {
    pub environment: String,
    /// The confirmation it requires before it is changed.
    pub require: Vec<String>,
    /// The public keys of its approvers.
    pub approvers: Vec<String>,
    /// The number of approvals required, where configured.
    pub approvals: Option<i32>,
}

/// The reserved name of the row that records that the protection was lifted.
const LIFTED: &str = "";

/// What a database records about its protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// The table does not exist: no protected environment was ever changed here.
    Unrecorded,
    /// The table exists, but this role may not see every row of it.
    Unreadable,
    /// A row of this database records that a user lifted the protection.
    Lifted,
    /// The environments of this database; none if all rows came with a dump of another one, or there are no rows.
    Recorded(Vec<ProtectionMarker>),
}

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

/// Marks the database of a session as a protected environment.
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

/// Records that the database of a session is not protected, in a row of its own: a table without rows may have been
/// emptied by another user, or hide its rows.
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
        // The schema usually exists already.
        session.take_notices();
    }
    Ok(())
}
