//! Owns the rows of the probe's answer: what the transaction has locked, and how it is by now.

use anyhow::{Context as _, Result};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use crate::plan::observe::Relation;
use crate::plan::observe::inventory::kind;
use crate::plan::observe::lock::LockMode;

const MODES: [LockMode; 8] = [
    LockMode::AccessShare,
    LockMode::RowShare,
    LockMode::RowExclusive,
    LockMode::ShareUpdateExclusive,
    LockMode::Share,
    LockMode::ShareRowExclusive,
    LockMode::Exclusive,
    LockMode::AccessExclusive,
];

/// What a session has done to a relation and not yet told the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) scans: i64,
    pub(super) inserted: i64,
    pub(super) updated: i64,
    pub(super) deleted: i64,
}

impl Counters {
    pub(super) fn since(self, before: Counters) -> Counters {
        Counters {
            scans: self.scans - before.scans,
            inserted: self.inserted - before.inserted,
            updated: self.updated - before.updated,
            deleted: self.deleted - before.deleted,
        }
    }
}

/// A relation that the transaction has locked.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) relation: u32,
    pub(super) mode: LockMode,
    /// Absent when it is gone.
    pub(super) now: Option<Now>,
    pub(super) counters: Counters,
}

#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) kind: Option<Relation>,
    pub(super) name: String,
    pub(super) file: u32,
    pub(super) tablespace: u32,
    pub(super) table: Option<u32>,
    pub(super) row_security: bool,
    pub(super) forced: bool,
    pub(super) owner: u32,
    /// Whether it has, or had, partitions or heirs.
    pub(super) has_children: bool,
}

/// Reads the answer: what is locked, and how often something was logged.
pub(super) fn parse(answer: &[SimpleQueryMessage]) -> Result<(Vec<Seen>, i64)> {
    let mut logged = None;
    let mut seen = Vec::new();
    for message in answer {
        let SimpleQueryMessage::Row(row) = message else {
            continue;
        };
        logged = Some(number(row, 15)?);
        // Where nothing is locked, there is one row for the number alone.
        if row.get(0).is_some() {
            seen.push(read(row)?);
        }
    }
    let logged = logged.context("the probe of the shadow gave no row")?;
    Ok((seen, logged))
}

fn read(row: &SimpleQueryRow) -> Result<Seen> {
    let mode = usize::try_from(number(row, 1)?)?;
    let id = |column: usize| -> Result<u32> { Ok(u32::try_from(number(row, column)?)?) };
    let is = |column: usize| row.get(column) == Some("t");
    let now = match row.get(2) {
        None => None,
        Some(letter) => Some(Now {
            kind: kind(letter),
            name: row.get(3).unwrap_or_default().to_owned(),
            file: id(4)?,
            tablespace: id(5)?,
            table: row.get(6).and_then(|table| table.parse().ok()),
            row_security: is(11),
            forced: is(12),
            owner: id(13)?,
            has_children: is(14),
        }),
    };
    Ok(Seen {
        relation: id(0)?,
        mode: *MODES
            .get(mode.wrapping_sub(1))
            .context("the server has a lock mode that is not known")?,
        now,
        counters: Counters {
            scans: count(row, 7)?,
            inserted: count(row, 8)?,
            updated: count(row, 9)?,
            deleted: count(row, 10)?,
        },
    })
}

/// Reads a relation's counters, as they are when a transaction begins.
pub(super) fn counted(row: &SimpleQueryRow) -> Result<(u32, Counters)> {
    let counters = Counters {
        scans: count(row, 1)?,
        inserted: count(row, 2)?,
        updated: count(row, 3)?,
        deleted: count(row, 4)?,
    };
    Ok((u32::try_from(number(row, 0)?)?, counters))
}

/// Reads a counter, which not every kind of relation has.
fn count(row: &SimpleQueryRow, column: usize) -> Result<i64> {
    match row.get(column) {
        None => Ok(0),
        Some(_) => number(row, column),
    }
}

fn number(row: &SimpleQueryRow, column: usize) -> Result<i64> {
    let text = row.get(column).context("the probe gave no number")?;
    text.parse()
        .with_context(|| format!("reading the probe's column {column}"))
}
