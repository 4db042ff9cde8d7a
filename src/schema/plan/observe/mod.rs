//! Effects of steps, observed by running them on a shadow database: locks, rewrites, scans, index builds, written
//! rows, dropped objects, changed privileges.
//!
//! [`run::steps`] runs steps on a shadow database, whose tables are empty; [`impact`] relates the effects to the table sizes of
//! the target; [`row_checks`] checks the target's data; [`guard`] compares the observed effects with the actual ones
//! before each commit. [`crate::shadow`] creates the shadow database.
//!
//! # Beside other tools
#![doc = include_str!("compared.md")]

mod access_facts;
mod access_scope;
mod cascade;
mod event_log;
pub mod guard;
pub mod impact;
mod inventory;
pub mod known_effects;
pub mod lock;
mod probe;
pub mod reach;
mod relation_names;
pub mod row_checks;
pub mod run;
mod statement_target;
mod transaction_state;

use serde::{Deserialize, Serialize};

use self::lock::LockMode;
use self::row_checks::RowCheck;

/// What one step does, statement by statement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StepObservation {
    /// The path of the file.
    pub label: String,
    /// Whether all of it holds its locks until its end, because it is one transaction.
    pub in_transaction: bool,
    /// Its statements in order; those behind one that failed are missing.
    pub statements: Vec<StatementObservation>,
    /// The relations that are new or renamed when one of its transactions ends; those where nothing is are missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<NewRelations>,
}

/// The relations that a transaction of a step creates and renames, by their names at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NewRelations {
    /// Which of the step's transactions it is, from 1; a statement that cannot run in a transaction counts as one.
    pub unit: usize,
    /// The relations it creates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub created: Vec<String>,
    /// The relations it renames, or moves to another schema.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<Renamed>,
}

/// A relation with another name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Renamed {
    /// Its name before the transaction.
    pub from: String,
    /// Its name afterwards.
    pub to: String,
}

/// What one statement does to what was there before the plan.
///
/// Relations have the names they had before the plan. Effects on what the plan itself creates are left out, because
/// nobody else uses it yet; [`NewRelations`] says what that is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StatementObservation {
    /// Its number in the step, from 1.
    pub number: usize,
    /// The byte of the step's text at which it begins.
    pub start: usize,
    /// Its first words, such as `ALTER TABLE`.
    pub verb: String,
    /// Where the observation comes from.
    pub spoke: ObservationSource,
    /// The locks it took, or took more strongly; with the strongest mode only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<RelationLock>,
    /// The relations whose files it wrote again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewrites: Vec<Rewrite>,
    /// The tables it read from end to end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<Scan>,
    /// The indexes it built, or rebuilt, on tables that were there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub builds: Vec<IndexBuild>,
    /// The tables whose rows it writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<WrittenRows>,
    /// What it dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<DroppedObject>,
    /// What it changed about who may do what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security: Vec<AccessChange>,
    /// What it needs of the rows, which the shadow database has none of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<RowCheck>,
    /// Why the verdict may be another one where there are rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on_rows: Option<String>,
    /// Why it did not run on the shadow database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<StatementError>,
}

/// Where an observation comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObservationSource {
    /// It ran on the shadow database and was watched.
    #[default]
    Shadow,
    /// Known behavior of PostgreSQL: the statement cannot run in a transaction, so it cannot be observed.
    Facts,
    /// It ran on the shadow database outside of any transaction; its locks were sampled, so short ones may be missing.
    Sampled,
    /// Not observed, for this reason.
    Nobody(String),
}

/// A lock on a relation, held until the transaction ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RelationLock {
    pub relation: String,
    /// What it is.
    pub kind: RelationKind,
    /// How strong.
    pub mode: LockMode,
}

/// What a relation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelationKind {
    /// A table with files of its own.
    Table,
    /// A table that only has partitions.
    Partitioned,
    View,
    MaterializedView,
    Sequence,
    Index,
    ForeignTable,
    /// A composite type.
    Type,
}

impl RelationKind {
    /// Reads `relkind`.
    pub(super) fn from_relkind(letter: &str) -> Option<RelationKind> {
        Some(match letter {
            "r" => RelationKind::Table,
            "p" => RelationKind::Partitioned,
            "v" => RelationKind::View,
            "m" => RelationKind::MaterializedView,
            "S" => RelationKind::Sequence,
            "i" | "I" => RelationKind::Index,
            "f" => RelationKind::ForeignTable,
            "c" => RelationKind::Type,
            _ => return None,
        })
    }
}

/// A relation with new files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rewrite {
    /// The table or materialized view.
    pub relation: String,
    /// How it came to them.
    pub how: RewriteKind,
}

/// How a relation came to new files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RewriteKind {
    /// Every row was rewritten.
    Rewritten,
    /// Every row was rewritten in the order of an index, or without its dead rows.
    Clustered,
    /// The files were copied to another place.
    Moved,
    /// Its query was run again.
    Refreshed,
    /// It was emptied.
    Truncated,
}

/// A table read from end to end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Scan {
    /// The table.
    pub relation: String,
    /// How often.
    pub times: u32,
}

/// An index that was built.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IndexBuild {
    /// The table.
    pub relation: String,
    pub index: String,
    /// Whether there was such an index before, which gives its size.
    pub again: bool,
}

/// A table whose rows are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WrittenRows {
    /// The table.
    pub relation: String,
    /// How many were inserted on the shadow database.
    pub inserted: i64,
    /// How many were updated on the shadow database, where tables are empty.
    pub updated: i64,
    /// How many were deleted on the shadow database, where tables are empty.
    pub deleted: i64,
    /// Whether the statement says that it deletes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletes: bool,
    /// Whether nothing limits what it deletes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The foreign key that causes the write, if the statement does not name the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub along: Option<CascadeCause>,
}

/// A foreign key that has rows deleted, or their references cleared, along with the rows they point at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CascadeCause {
    /// The table whose rows go first.
    pub with: String,
    /// The foreign key.
    pub key: String,
}

/// An object that is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DroppedObject {
    /// What it was, in the server's words, such as `table column`.
    pub kind: String,
    /// How the server calls it.
    pub name: String,
    /// The table, materialized view or sequence whose rows are lost with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loses: Option<String>,
    /// Whether the statement names it; otherwise it went along with what it depends on.
    pub named: bool,
}

/// A change of who may do what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AccessChange {
    pub object: String,
    /// What changed, in words such as `row-level security is off`.
    pub change: String,
    /// Whether the change grants more access than before.
    pub opens: bool,
}

/// The change text for row-level security being enabled.
pub const SECURED: &str = "row-level security is on";
/// The change text for row-level security being disabled.
pub const UNSECURED: &str = "row-level security is off";

/// Why a statement did not run on the shadow database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StatementError {
    pub sqlstate: String,
    /// The server's message.
    pub message: String,
    /// The byte of the step's text the server points at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}

impl StepObservation {
    /// Returns the failed statement, where the step did not run to its end.
    pub fn failed(&self) -> Option<&StatementObservation> {
        self.statements
            .iter()
            .find(|statement| statement.failed.is_some())
    }

    /// Returns the locks held while a statement runs: its own, and in a transaction those of the statements before it.
    pub fn held(&self, number: usize) -> Vec<RelationLock> {
        let first = if self.in_transaction { 1 } else { number };
        let taken = self
            .statements
            .iter()
            .filter(|statement| (first..=number).contains(&statement.number))
            .flat_map(|statement| &statement.locks);
        lock::strongest(taken)
    }
}

impl StatementObservation {
    /// Whether it has no effect on other sessions.
    pub fn is_quiet(&self) -> bool {
        let silent = self.rewrites.is_empty() && self.scans.is_empty() && self.builds.is_empty();
        let harmless = self.dropped.is_empty() && self.security.is_empty();
        silent && harmless && self.locks.iter().all(|lock| !lock.mode.blocks_writes())
    }
}
