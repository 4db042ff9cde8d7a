//! The restore point before a run; the checks after it: invalid objects, the predicted schema, `verify/*.sql`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use crate::catalog::{Catalog, read};
use crate::commands::{Context, change::planning};
use crate::diff::report::{self, Sides};
use crate::diff::{self};
use crate::disk;
use crate::finding::{Finding, Location, Severity};
use crate::migrate::journal::{self, JournalEntry, JournalState, RunIdentity};
use crate::pg::session::Session;
use crate::shadow::schema_clone;
use crate::sql::safe::Sql;

/// A named place in the write-ahead log, for recovery to a point in time.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct RestorePoint {
    pub(crate) name: String,
    pub(crate) lsn: String,
}

/// Creates a restore point where privileges and settings allow it.
pub(crate) async fn restore_point(session: &Session, run: &str) -> Option<RestorePoint> {
    let name = format!("af-db {run}");
    let row = session
        .query_one(
            "SELECT pg_catalog.pg_create_restore_point($1)::pg_catalog.text",
            &[(&name, Type::TEXT)],
        )
        .await;
    // Most roles may not; the run does not depend on it.
    let lsn = row.ok()?.get(0);
    Some(RestorePoint { name, lsn })
}

/// The invalid indexes and unvalidated constraints before a run.
pub(crate) struct ObjectsBefore(BTreeSet<(String, String)>);

pub(crate) async fn before(session: &Session) -> Result<ObjectsBefore> {
    Ok(ObjectsBefore(half_made(session).await?))
}

async fn half_made(session: &Session) -> Result<BTreeSet<(String, String)>> {
    let rows = session
        .query(include_str!("queries/half_made.sql"), &[])
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Finds the invalid indexes and unvalidated constraints that a run left.
pub(crate) async fn left_since(session: &Session, before: &ObjectsBefore) -> Result<Vec<Finding>> {
    let (left, reindexed) =
        futures_util::future::join(half_made(session), reindex_leftovers(session)).await;
    let left = left?;
    let new = left.difference(&before.0);
    let mut findings: Vec<Finding> = new.map(|(kind, name)| left_behind(kind, name)).collect();
    let is_old = |finding: &Finding| {
        let index = ("index".to_owned(), finding.subject.clone());
        before.0.contains(&index)
    };
    findings.extend(reindexed?.into_iter().filter(is_old));
    Ok(findings)
}

/// Checks the database after `up`: no invalid objects, the predicted schema, the project's own `verify/*.sql`.
pub(crate) async fn upgraded(
    context: &Context,
    session: &Session,
    before: &ObjectsBefore,
    run: &RunIdentity,
    predicted: Option<&Catalog>,
) -> Result<Vec<Finding>> {
    let mut findings = left_since(session, before).await?;
    if let Some(predicted) = predicted {
        let reached = read::read(session, &schema_clone::scope())
            .await
            .context("reading the schema after the run")?;
        let reached = planning::managed(context, &reached);
        let entry = JournalEntry {
            note: Some(reached.fingerprint()),
            ..JournalEntry::default()
        };
        let record = Sql::fill(
            "BEGIN;\n{};\nCOMMIT",
            &[&journal::append(run, JournalState::Checked, &entry)],
        );
        session
            .run(&record)
            .await
            .context("recording the schema after the run")?;
        let changes = diff::between(predicted, &reached);
        let sides = Sides {
            code: "after-schema",
            severity: Severity::Error,
            before: "the plan",
            after: "the database",
        };
        findings.extend(
            diff::outermost(&changes)
                .into_iter()
                .map(|change| report::finding(change, &sides)),
        );
    }
    findings.extend(verify(context, session).await?);
    Ok(findings)
}

/// Finds the indexes that an interrupted `REINDEX CONCURRENTLY` left, of any run.
pub(crate) async fn reindex_leftovers(session: &Session) -> Result<Vec<Finding>> {
    let rows = session
        .query(include_str!("queries/reindex_leftovers.sql"), &[])
        .await?;
    let finding = |row: &tokio_postgres::Row| {
        let name: String = row.get("name");
        Finding::error(
            "reindex-left",
            &name,
            "invalid index of an interrupted REINDEX CONCURRENTLY: it slows writes and no query uses it",
        )
        .help(format!("DROP INDEX CONCURRENTLY {name}"))
    };
    Ok(rows.iter().map(finding).collect())
}

fn left_behind(kind: &str, name: &str) -> Finding {
    match kind {
        "index" => Finding::error(
            "after-index",
            name,
            "the run left this index invalid: it slows writes and no query uses it",
        )
        .help(format!(
            "REINDEX INDEX CONCURRENTLY {name}, or drop and recreate the index"
        )),
        _ => Finding::warn(
            "after-constraint",
            name,
            "the run left this constraint NOT VALID: existing rows may violate it",
        )
        .help("ALTER TABLE … VALIDATE CONSTRAINT … in a separate migration"),
    }
}

/// Runs the project's own `verify/*.sql`, each in a transaction that may not write.
async fn verify(context: &Context, session: &Session) -> Result<Vec<Finding>> {
    let folder = context.config.root.join("verify");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).context("reading verify")? {
        let path = entry.context("reading verify")?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    let mut findings = Vec::new();
    for path in files {
        let shown = context.config.shown(&path);
        let text = disk::read_text(&path, &shown)?;
        session
            .run(&Sql::new("BEGIN TRANSACTION READ ONLY"))
            .await?;
        let asked = session.simple_query(&Sql::written_by_user(text)).await;
        session.run(&Sql::new("ROLLBACK")).await?;
        let why = match asked {
            Ok(answers) if answers.iter().any(is_false) => "a query returned false".to_owned(),
            Ok(_) => continue,
            Err(error) => error.to_string(),
        };
        findings.push(
            Finding::error("after-verify", &shown, why)
                .place(Location::file(&shown))
                .help("The migrations remain applied. Fix this with a new migration, or revert with af-db down"),
        );
    }
    Ok(findings)
}

/// Whether an answer is one row of one column that is false.
fn is_false(message: &SimpleQueryMessage) -> bool {
    matches!(message, SimpleQueryMessage::Row(row) if row.len() == 1 && row.get(0) == Some("f"))
}
