//! Reads from the journal which migrations a plan has applied, and which schema the last run left.

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::migrate::history::History;
use crate::pg::session::Session;

/// A migration applied under a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanStep {
    /// The migration.
    pub version: i64,
    /// When.
    pub at: String,
}

/// Reads what runs bound to a plan have applied, in one round trip.
pub async fn applied(session: &Session, history: &History, sha256: &str) -> Result<Vec<PlanStep>> {
    if !history.has_journal {
        return Ok(Vec::new());
    }
    let rows = session
        .query(
            include_str!("queries/journal_planned.sql"),
            &[(&sha256, Type::TEXT)],
        )
        .await?;
    let steps = rows.iter().map(|row| PlanStep {
        version: row.get("version"),
        at: row.get("at"),
    });
    // What was reverted since counts all the same: a plan is good for one time only.
    Ok(steps.collect())
}

/// Reads which migrations runs bound to a plan have begun statement by statement, in one round trip.
pub async fn begun(session: &Session, history: &History, sha256: &str) -> Result<Vec<i64>> {
    if !history.has_journal {
        return Ok(Vec::new());
    }
    let rows = session
        .query(
            include_str!("queries/journal_begun.sql"),
            &[(&sha256, Type::TEXT)],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get("version")).collect())
}

/// Reads the fingerprint of the schema that the last run left, if one has recorded it.
pub async fn schema(session: &Session, history: &History) -> Result<Option<String>> {
    if !history.has_journal {
        return Ok(None);
    }
    let rows = session
        .query(include_str!("queries/journal_schema.sql"), &[])
        .await?;
    Ok(rows.first().and_then(|row| row.get(0)))
}
