//! Table lock modes, their order and what each blocks.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::observe::RelationLock;

/// A mode of locking a relation, in rising strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockMode {
    /// Reading.
    AccessShare,
    /// Locking rows.
    RowShare,
    /// Writing rows.
    RowExclusive,
    /// VACUUM, ANALYZE, VALIDATE, most of CONCURRENTLY.
    ShareUpdateExclusive,
    /// CREATE INDEX.
    Share,
    /// CREATE TRIGGER, ADD FOREIGN KEY.
    ShareRowExclusive,
    /// REFRESH MATERIALIZED VIEW CONCURRENTLY.
    Exclusive,
    /// Most of ALTER TABLE.
    AccessExclusive,
}

impl LockMode {
    /// Reads the name in `pg_locks`, such as `AccessExclusiveLock`.
    pub fn parse(name: &str) -> Option<LockMode> {
        Some(match name.strip_suffix("Lock")? {
            "AccessShare" => LockMode::AccessShare,
            "RowShare" => LockMode::RowShare,
            "RowExclusive" => LockMode::RowExclusive,
            "ShareUpdateExclusive" => LockMode::ShareUpdateExclusive,
            "Share" => LockMode::Share,
            "ShareRowExclusive" => LockMode::ShareRowExclusive,
            "Exclusive" => LockMode::Exclusive,
            "AccessExclusive" => LockMode::AccessExclusive,
            _ => return None,
        })
    }

    /// Whether those who write rows wait.
    pub fn blocks_writes(self) -> bool {
        self >= LockMode::Share
    }

    /// Whether those who only read wait.
    pub fn blocks_reads(self) -> bool {
        self == LockMode::AccessExclusive
    }

    /// Returns whom it keeps waiting, in words.
    pub fn blocks(self) -> &'static str {
        match self {
            LockMode::AccessExclusive => "blocks reads and writes",
            LockMode::Exclusive | LockMode::ShareRowExclusive | LockMode::Share => "blocks writes",
            LockMode::ShareUpdateExclusive => "blocks other DDL and VACUUM",
            LockMode::RowExclusive | LockMode::RowShare | LockMode::AccessShare => {
                "blocks only DDL"
            }
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Keeps the strongest lock on each relation, in order of their names.
pub fn strongest<'a>(locks: impl IntoIterator<Item = &'a RelationLock>) -> Vec<RelationLock> {
    let mut kept: BTreeMap<&str, &RelationLock> = BTreeMap::new();
    for lock in locks {
        let kept = kept.entry(&lock.relation).or_insert(lock);
        if kept.mode < lock.mode {
            *kept = lock;
        }
    }
    kept.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_the_server_names_them() {
        let mode = LockMode::parse("ShareRowExclusiveLock");
        assert_eq!(mode, Some(LockMode::ShareRowExclusive));
        assert_eq!(LockMode::parse("SIReadLock"), None);
        assert_eq!(LockMode::ShareRowExclusive.to_string(), "ShareRowExclusive");
    }

    #[test]
    fn stronger_modes_block_more() {
        assert!(!LockMode::ShareUpdateExclusive.blocks_writes());
        assert!(LockMode::Share.blocks_writes() && !LockMode::Exclusive.blocks_reads());
        assert!(LockMode::AccessExclusive.blocks_reads());
    }
}
