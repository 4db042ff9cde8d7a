//! Owns what steps do to a database, seen by running them: locks, rewritten files, scans, built indexes, written rows,
//! dropped objects, opened doors.
//!
//! [`run::steps`] watches steps on a shadow, whose tables are empty; [`weigh`] holds what was seen against the sizes of
//! the target; [`question`] asks the target what only its rows can answer; [`guard`] compares what was seen with what
//! happens in truth before it is committed. Building the shadow is the business of [`crate::shadow`].
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
    /// How people call the step: the path of the file.
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
    /// Which of the step's transactions it is, from 1; a statement that no transaction can hold counts as one.
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
    /// Who says so.
    pub spoke: ObservationSource,
    /// The locks it took, or took more strongly; with the strongest mode only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<RelationLock>,
    /// The relations whose files it wrote anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewrites: Vec<Rewrite>,
    /// The tables it read from end to end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<Scan>,
    /// The indexes it built, or built anew, on tables that were there.
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
    /// What it needs of the rows, which the shadow has none of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<RowCheck>,
    /// Why the verdict may be another one where there are rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on_rows: Option<String>,
    /// Why it did not run on the shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<StatementError>,
}

/// Who says what a statement does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObservationSource {
    /// It ran on the shadow and was watched.
    #[default]
    Shadow,
    /// PostgreSQL fixes it: no transaction can hold the statement, so nobody can look into it.
    Facts,
    /// It ran on the shadow outside of any transaction; its locks were sampled, so short ones may be missing.
    Sampled,
    /// Nobody, for this reason.
    Nobody(String),
}

/// A lock on a relation, held until the transaction ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RelationLock {
    /// The relation.
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
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A sequence.
    Sequence,
    /// An index.
    Index,
    /// A foreign table.
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
    /// Every row was written anew.
    Rewritten,
    /// Every row was written anew in the order of an index, or without its dead rows.
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
    /// The index.
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
    /// How many were inserted on the shadow.
    pub inserted: i64,
    /// How many were updated on the shadow, where tables are empty.
    pub updated: i64,
    /// How many were deleted on the shadow, where tables are empty.
    pub deleted: i64,
    /// Whether the statement says that it deletes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletes: bool,
    /// Whether nothing limits what it deletes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Why rows of this table are written that the statement does not speak of.
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
    /// The object.
    pub object: String,
    /// What changed, in words such as `row-level security is off`.
    pub change: String,
    /// Whether somebody may do more than before.
    pub opens: bool,
}

/// How it is told that row-level security was switched on.
pub const SECURED: &str = "row-level security is on";
/// How it is told that row-level security was switched off.
pub const UNSECURED: &str = "row-level security is off";

/// Why a statement did not run on the shadow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StatementError {
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The server's words.
    pub message: String,
    /// The byte of the step's text the server points at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}

impl StepObservation {
    /// Gives the failed statement, where the step did not run to its end.
    pub fn failed(&self) -> Option<&StatementObservation> {
        self.statements
            .iter()
            .find(|statement| statement.failed.is_some())
    }

    /// Gives the locks held while a statement runs: its own, and in a transaction those of the statements before it.
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
    /// Says whether it does nothing that anybody else would notice.
    pub fn is_quiet(&self) -> bool {
        let silent = self.rewrites.is_empty() && self.scans.is_empty() && self.builds.is_empty();
        let harmless = self.dropped.is_empty() && self.security.is_empty();
        silent && harmless && self.locks.iter().all(|lock| !lock.mode.blocks_writes())
    }
}
