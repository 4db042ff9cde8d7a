//! Checks that the journal was not tampered with: its chain, its head, the history next to it, and an anchor outside.
//!
//! The chain detects modified rows, the head detects a truncated end. Rewriting the end of the chain together with
//! the head is detected where the history and the journal no longer agree, and rewriting everything only by an
//! anchor: the newest link at some time, stored where the database owner cannot write.
//!
//! A history may be older than its journal, if other tools applied migrations before. The journal's first row lists
//! these migrations, and the history table is marked by a comment: a marked history without rows in the
//! journal means that the journal was lost.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::{ToSql, Type};

use crate::finding::Finding;
use crate::migrate::checksum::{self, Width};
use crate::migrate::files::Migration;
use crate::migrate::history::{History, HistoryRow, JournalMark};
use crate::migrate::journal;
use crate::pg::session::Session;
use crate::sql::safe::Sql;

/// The newest link of a journal at some moment, to be kept outside of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Anchor {
    /// The version of this document.
    pub version: u32,
    /// The cluster's identifier, where the role may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    /// The database's oid.
    pub database_oid: u32,
    /// The database's name, for people.
    pub database: String,
    /// How many rows there are, which is the number of the newest.
    pub rows: i64,
    /// The hash of the newest.
    pub hash: String,
}

/// What the journal is held against.
#[derive(Clone, Copy, Debug)]
pub struct VerifyInputs<'a> {
    /// The history, and whether a journal exists.
    pub history: &'a History,
    /// The files at hand, whose texts are compared with what was applied.
    pub files: &'a [Migration],
    /// The tenant's schema that the history is of; empty where tenants do not share the database.
    pub tenant: &'a str,
    /// Whether services apply migrations too, which write no journal.
    pub services: bool,
    /// The newest link of an earlier moment.
    pub anchor: Option<&'a Anchor>,
}

/// A row of the journal as a link of the chain.
struct ChainLink {
    id: i64,
    hash: String,
    holds: bool,
    follows: bool,
}

/// Reports all signs of tampering with the journal.
pub async fn verify(session: &Session, against: &VerifyInputs<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut links = Vec::new();
    if against.history.has_journal {
        links = read(session).await?;
        findings.extend(chain(&links));
        findings.extend(end(session, links.last()).await?);
    }
    findings.extend(compare(session, against).await?);
    if let Some(anchor) = against.anchor {
        findings.extend(anchored(session, anchor, &links));
    }
    Ok(findings)
}

/// Returns the newest link as an anchor.
pub async fn anchor(session: &Session) -> Result<Anchor> {
    let head = head(session).await?;
    let (rows, hash) = head.into_iter().next().unwrap_or_default();
    let facts = session.server_info();
    Ok(Anchor {
        version: 1,
        system_identifier: facts.system_identifier.map(|number| number.to_string()),
        database_oid: facts.database_oid,
        database: facts.database.clone(),
        rows,
        hash,
    })
}

async fn read(session: &Session) -> Result<Vec<ChainLink>> {
    let mut sql = Sql::new(
        "SELECT COALESCE(v.id, 0), COALESCE(v.hash, ''), COALESCE(v.hash OPERATOR(pg_catalog.=) ",
    );
    sql.piece(&journal::hash());
    sql.push(
        ", false) AS holds, v.previous IS NOT DISTINCT FROM COALESCE(pg_catalog.lag(v.hash) OVER (ORDER BY v.id), '') AS follows \
         FROM af_db.journal AS v ORDER BY v.id",
    );
    let rows = session.query_sql(&sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| ChainLink {
            id: row.get(0),
            hash: row.get(1),
            holds: row.get(2),
            follows: row.get(3),
        })
        .collect())
}

/// Reports invalid links.
fn chain(links: &[ChainLink]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut last = 0;
    for link in links {
        let subject = format!("journal row {}", link.id);
        if !link.holds {
            let message = "The row was modified after it was written";
            findings.push(Finding::error("journal-altered", &subject, message));
        }
        if link.id != last + 1 {
            let message = "The previous row was removed";
            findings.push(Finding::error("journal-removed", &subject, message));
        } else if !link.follows {
            let message = "The row's hash does not match the previous row: one of the two was inserted or replaced";
            findings.push(Finding::error("journal-broken", &subject, message));
        }
        last = link.id;
    }
    findings
}

/// Reads the rows of the record of the newest row; there is one unless it was tampered with.
async fn head(session: &Session) -> Result<Vec<(i64, String)>> {
    let there = session
        .query_one(
            "SELECT pg_catalog.to_regclass('af_db.journal_head') IS NOT NULL",
            &[],
        )
        .await?;
    if !there.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = session
        .query(include_str!("queries/journal_head.sql"), &[])
        .await?;
    let rows = rows.iter().map(|row| (row.get("id"), row.get("hash")));
    Ok(rows.collect())
}

/// Compares the newest row with what is kept about it next to the journal.
async fn end(session: &Session, newest: Option<&ChainLink>) -> Result<Option<Finding>> {
    let (last, hash) = newest.map_or((0, ""), |link| (link.id, link.hash.as_str()));
    let [(id, kept)] = &head(session).await?[..] else {
        let message = "af_db.journal_head, which records the newest row, was removed or duplicated";
        return Ok(Some(Finding::error(
            "journal-removed",
            "the journal",
            message,
        )));
    };
    if *id != last {
        let message = format!("The journal ends at row {last}, but row {id} was written");
        let subject = format!("journal row {id}");
        return Ok(Some(Finding::error("journal-removed", subject, message)));
    }
    let subject = format!("journal row {last}");
    let message = "The newest row is not the last one written: rows were removed or replaced";
    Ok((*kept != hash).then(|| Finding::error("journal-replaced", subject, message)))
}

/// The journal's record of a version.
struct JournalledMigration {
    name: Option<String>,
    up_sha256: Option<String>,
    is_applied: bool,
}

/// The journal's record of the history.
struct JournalKnowledge {
    said: BTreeMap<i64, JournalledMigration>,
    // The rows of the history before the journal was started, by version; none where it was started with the history.
    before: BTreeMap<i64, String>,
}

impl JournalKnowledge {
    async fn read(session: &Session, tenant: &str) -> Result<Self> {
        let parameters = [(&tenant as &(dyn ToSql + Sync), Type::TEXT)];
        let said = session
            .query(include_str!("queries/journal_vouches.sql"), &parameters)
            .await?;
        let said = said.iter().map(|row| {
            let said = JournalledMigration {
                name: row.get("name"),
                up_sha256: row.get("up_sha256"),
                is_applied: row.get("is_applied"),
            };
            (row.get("version"), said)
        });
        let opened = session
            .query(include_str!("queries/journal_opened.sql"), &parameters)
            .await?;
        let note: Option<String> = opened.first().map(|row| row.get("note"));
        let lines = note.iter().flat_map(|note| note.lines()).skip(1);
        let before = lines.filter_map(|line| {
            let version = line.split_once(' ')?.0.parse().ok()?;
            Some((version, line.to_owned()))
        });
        Ok(JournalKnowledge {
            said: said.collect(),
            before: before.collect(),
        })
    }

    /// Returns the versions that are applied by what the journal says.
    fn applied(&self) -> impl Iterator<Item = i64> {
        let said = self.said.iter().filter(|(_, said)| said.is_applied);
        let before = self.before.keys();
        let before = before.filter(|version| !self.said.contains_key(version));
        said.map(|(version, _)| *version).chain(before.copied())
    }
}

/// Compares the history with the journal, in both directions.
async fn compare(session: &Session, against: &VerifyInputs<'_>) -> Result<Vec<Finding>> {
    let history = against.history;
    let knowledge = match history.has_journal {
        true => JournalKnowledge::read(session, against.tenant).await?,
        false => JournalKnowledge {
            said: BTreeMap::new(),
            before: BTreeMap::new(),
        },
    };
    if knowledge.said.is_empty() && knowledge.before.is_empty() {
        return Ok(unbegun(against).into_iter().collect());
    }
    let mut findings = Vec::new();
    for row in &history.rows {
        findings.extend(match knowledge.said.get(&row.version) {
            Some(said) if said.is_applied => differs(row, said, against),
            None if knowledge.before.contains_key(&row.version) => (knowledge.before[&row.version]
                != journal::line(row))
            .then(|| {
                let message =
                    "The history row differs from the one recorded when the journal was created";
                Finding::error("history-altered", subject(row), message)
            }),
            _ => Some(unrecorded(
                against,
                subject(row),
                "The migration is in the history, but the journal has no record of it".to_owned(),
            )),
        });
    }
    for version in knowledge.applied() {
        if history.row(version).is_none() {
            let message =
                "The journal records the migration as applied, but it is not in the history";
            let help = "Restore the history from a backup, or record the row again: af-db repair --mark-applied";
            findings.push(
                Finding::error("history-removed", format!("migration {version}"), message)
                    .help(format!("{help} {version}")),
            );
        }
    }
    let before = history.rows.iter();
    let before = before.filter(|row| !knowledge.said.contains_key(&row.version));
    let before = before.filter(|row| knowledge.before.contains_key(&row.version));
    match before.count() {
        0 => {}
        count => findings.push(Finding::note(
            "journal-opened",
            "the journal",
            format!(
                "The journal was created after {count} migrations had been applied; who applied them is unknown"
            ),
        )),
    }
    Ok(findings)
}

fn subject(row: &HistoryRow) -> String {
    format!("migration {} {}", row.version, row.name)
}

fn unrecorded(against: &VerifyInputs<'_>, subject: String, message: String) -> Finding {
    if against.services {
        return Finding::note("journal-unrecorded", subject, message);
    }
    Finding::error("journal-unrecorded", subject, message).help(
        "If a service applied the migration, use --services; otherwise restore the journal from a backup",
    )
}

/// Explains why the journal has no record of a non-empty history: it was lost, or never created.
fn unbegun(against: &VerifyInputs<'_>) -> Option<Finding> {
    let history = against.history;
    let count = history.rows.len();
    if count == 0 {
        return None;
    }
    let what = match history.has_journal {
        true => "The journal has no record of any migration",
        false => "There is no journal",
    };
    if history.mark == JournalMark::Present {
        let message = format!(
            "{what}, but the history is marked as journalled ({count} applied migrations): rows were removed"
        );
        return Some(unrecorded(against, "the journal".to_owned(), message));
    }
    let message = format!(
        "{what}, and the history is not marked as journalled ({count} applied migrations): af-db applied none of them, \
         or both the journal and the mark were removed; only an anchor can distinguish this"
    );
    Some(Finding::note("journal-unbegun", "the journal", message))
}

/// Compares a row of the history with the journal's row of the same migration.
fn differs(
    row: &HistoryRow,
    said: &JournalledMigration,
    against: &VerifyInputs<'_>,
) -> Option<Finding> {
    let name = said.name.as_deref();
    if let Some(name) = name.filter(|name| *name != row.name) {
        let message = format!("The journal records the migration as `{name}`");
        return Some(Finding::error("history-altered", subject(row), message));
    }
    // Only a file with the history's checksum can stand for what the history says was run.
    let mut files = against.files.iter();
    let file = files.find(|file| file.version == row.version && file.name == row.name)?;
    let width = against.history.width(Width::Int4);
    let sum = checksum::refinery(&file.name, file.version, &file.up.text, width);
    if sum.to_string() != row.checksum {
        return None;
    }
    let sha256 = said.up_sha256.as_deref()?;
    (sha256 != checksum::sha256(&file.up.text)).then(|| {
        let message = "The journal records a different file content than the history";
        Finding::error("history-altered", subject(row), message)
    })
}

/// Looks for the link that an anchor names.
fn anchored(session: &Session, anchor: &Anchor, links: &[ChainLink]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let facts = session.server_info();
    let identifier = facts.system_identifier.map(|number| number.to_string());
    let other_cluster = matches!((&anchor.system_identifier, &identifier), (Some(one), Some(other)) if one != other);
    if other_cluster || anchor.database_oid != facts.database_oid {
        let message = format!(
            "The anchor was taken in another database (`{}`); this is expected after a restore",
            anchor.database
        );
        findings.push(Finding::warn(
            "journal-anchor-elsewhere",
            "the anchor",
            message,
        ));
    }
    let there = links
        .iter()
        .any(|link| link.id == anchor.rows && link.hash == anchor.hash);
    if !there && anchor.rows > 0 {
        let message = format!(
            "Row {} of the anchor is not in the journal: the journal was truncated or rewritten after the anchor was taken",
            anchor.rows
        );
        findings.push(Finding::error("journal-rewritten", "the journal", message));
    }
    findings
}
