//! Taking over a history: the rows that say what is applied, each journalled with the name its tool gave it.

use anyhow::{Context as _, Result};

use crate::adopt::Tool;
use crate::adopt::folder::Entry;
use crate::adopt::record::{Found, Record, Row};
use crate::finding::Finding;
use crate::migrate::checksum;
use crate::migrate::history;
use crate::migrate::job::{self, RecordSettings};
use crate::migrate::journal::{self, JournalState};
use crate::pg::session::Session;
use crate::sql::safe::Sql;

/// A migration that is taken over, and what its tool knows of it.
#[derive(Clone, Debug)]
pub struct Taken<'a> {
    /// The migration.
    pub entry: &'a Entry,
    /// The tool's own row.
    pub row: &'a Row,
}

/// Writes what is taken over into our books, in one transaction; `insert` says whether the history lacks the rows.
pub async fn write(
    session: &Session,
    ledger: &RecordSettings,
    (found, taken): (&Found, &[Taken<'_>]),
    insert: bool,
) -> Result<()> {
    let mut sql = Sql::new("BEGIN");
    for Taken { entry, row } in taken {
        let migration = &entry.migration;
        if insert {
            let mut ours = job::row(migration, ledger.width);
            if let Some(at) = &row.at {
                ours.applied_on.clone_from(at);
            }
            sql.push(";\n")
                .piece(&history::insert(&ledger.history, &ours));
        }
        let record = journal::JournalEntry {
            version: Some(migration.version),
            name: Some(migration.name.clone()),
            up_sha256: Some(checksum::sha256(&migration.up.text)),
            down_sha256: migration
                .down
                .as_ref()
                .map(|down| checksum::sha256(&down.text)),
            note: Some(note(found, &entry.key)),
            ..journal::JournalEntry::default()
        };
        sql.push(";\n").piece(&journal::append(
            &ledger.run,
            JournalState::Baselined,
            &record,
        ));
    }
    sql.push(";\nCOMMIT");
    if let Err(error) = session.run(&sql).await {
        // The first error is the one to tell.
        let _ = session.run(&Sql::new("ROLLBACK")).await;
        return Err(error.context("taking the history over; nothing was recorded"));
    }
    Ok(())
}

fn note(found: &Found, key: &str) -> String {
    format!("adopted from {} {found}: {key}", found.tool)
}

fn parse(note: &str) -> Option<(Found, String)> {
    let (tool, rest) = note.strip_prefix("adopted from ")?.split_once(' ')?;
    let (table, key) = rest.split_once(": ")?;
    let (schema, name) = table.split_once('.')?;
    let found = Found {
        tool: Tool::parse(tool).ok()?,
        schema: schema.to_owned(),
        name: name.to_owned(),
    };
    Some((found, key.to_owned()))
}

/// What was taken over from another tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The tool's table.
    pub found: Found,
    /// The tool's names of what was taken over, in order.
    pub keys: Vec<String>,
}

/// Reads from the journal what was taken over; none where nothing was.
pub async fn adopted(session: &Session) -> Result<Option<Adopted>> {
    let rows = session
        .query(include_str!("queries/adopted.sql"), &[])
        .await
        .context("reading what was adopted")?;
    let mut adopted: Option<Adopted> = None;
    for row in rows {
        let Some((found, key)) = row.get::<_, Option<&str>>("note").and_then(parse) else {
            continue;
        };
        let keys = &mut adopted
            .get_or_insert(Adopted {
                found,
                keys: Vec::new(),
            })
            .keys;
        keys.push(key);
    }
    Ok(adopted)
}

/// Says what the other tool has done since its history was taken over.
pub fn since(adopted: &Adopted, record: &Record) -> Vec<Finding> {
    let tool = adopted.found.tool;
    let now = record.applied(&adopted.keys);
    let mut findings = record.broken.clone();
    for row in now.iter().filter(|row| !adopted.keys.contains(&row.key)) {
        let message = format!("{tool} has applied it since its history was taken over");
        findings.push(
            Finding::error("foreign-applied", format!("migration {}", row.key), message)
                .help("keep that tool from running; record what it did: af-db repair --mark-applied VERSION"),
        );
    }
    for key in &adopted.keys {
        if !now.iter().any(|row| row.key == *key) {
            let message = format!("{tool} has reverted it since its history was taken over");
            findings.push(
                Finding::error("foreign-reverted", format!("migration {key}"), message)
                    .help("keep that tool from running; record what it did: af-db repair --mark-unapplied VERSION"),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back() {
        let found = Found {
            tool: Tool::GolangMigrate,
            schema: "public".to_owned(),
            name: "schema_migrations".to_owned(),
        };
        assert_eq!(
            parse(&note(&found, "a: b#2")),
            Some((found, "a: b#2".to_owned()))
        );
        assert_eq!(parse("by hand"), None);
    }
}
