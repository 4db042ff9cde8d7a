//! Adopting a history: the rows of applied migrations, each with a journal entry that keeps the tool's name for it.

use anyhow::{Context as _, Result};

use crate::adopt::Tool;
use crate::adopt::tool_folder::ToolMigration;
use crate::adopt::tool_history::{HistoryRow, ToolHistory, ToolHistoryTable};
use crate::finding::Finding;
use crate::migrate::checksum;
use crate::migrate::history;
use crate::migrate::job::{self, RecordSettings};
use crate::migrate::journal::{self, JournalState};
use crate::pg::session::Session;
use crate::sql::safe::Sql;

/// A migration that is adopted, with its row in the tool's history.
#[derive(Clone, Debug)]
pub struct AdoptedMigration<'a> {
    pub entry: &'a ToolMigration,
    pub row: &'a HistoryRow,
}

/// Writes adopted migrations to the journal, and with `insert` to the history, in one transaction.
pub async fn write(
    session: &Session,
    ledger: &RecordSettings,
    table: &ToolHistoryTable,
    migrations: &[AdoptedMigration<'_>],
    insert: bool,
) -> Result<()> {
    let mut sql = Sql::new("BEGIN");
    for AdoptedMigration { entry, row } in migrations {
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
            note: Some(note(table, &entry.key)),
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
        // Report the first error, not one of the rollback.
        let _ = session.run(&Sql::new("ROLLBACK")).await;
        return Err(error.context("adopting the history; nothing was recorded"));
    }
    Ok(())
}

fn note(found: &ToolHistoryTable, key: &str) -> String {
    format!("adopted from {} {found}: {key}", found.tool)
}

fn parse(note: &str) -> Option<(ToolHistoryTable, String)> {
    let (tool, rest) = note.strip_prefix("adopted from ")?.split_once(' ')?;
    let (table, key) = rest.split_once(": ")?;
    let (schema, name) = table.split_once('.')?;
    let found = ToolHistoryTable {
        tool: Tool::parse(tool).ok()?,
        schema: schema.to_owned(),
        name: name.to_owned(),
    };
    Some((found, key.to_owned()))
}

/// A history that was adopted from another tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    pub found: ToolHistoryTable,
    /// The tool's names of the adopted migrations, in order.
    pub keys: Vec<String>,
}

/// Reads the adopted history from the journal, if there is one.
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

/// Reports what the other tool has done since its history was adopted.
pub fn since(adopted: &Adopted, record: &ToolHistory) -> Vec<Finding> {
    let tool = adopted.found.tool;
    let now = record.applied(&adopted.keys);
    let mut findings = record.broken.clone();
    for row in now.iter().filter(|row| !adopted.keys.contains(&row.key)) {
        let message = format!("{tool} applied this migration after its history was adopted");
        findings.push(
            Finding::error("foreign-applied", format!("migration {}", row.key), message).help(
                "stop running that tool; record the migration: af-db repair --mark-applied VERSION",
            ),
        );
    }
    for key in &adopted.keys {
        if !now.iter().any(|row| row.key == *key) {
            let message = format!("{tool} reverted this migration after its history was adopted");
            findings.push(
                Finding::error("foreign-reverted", format!("migration {key}"), message)
                    .help("stop running that tool; record the revert: af-db repair --mark-unapplied VERSION"),
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
        let found = ToolHistoryTable {
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
