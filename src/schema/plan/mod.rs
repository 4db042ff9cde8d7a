//! Changes to a database as steps, and the execution that alone may run them.
//!
//! A [`Step`] has its text and how it runs, but not why it runs (a migration, a policy).

pub mod approval;
mod commit_outcome;
pub mod document;
pub mod execution;
pub mod heartbeat;
mod lock_retry;
pub mod lock_schedule;
pub mod observe;
mod prediction_guard;
pub mod preflight;
pub mod reconcile;
mod record_preconditions;
mod session_effects;
pub mod session_state;
pub mod step_failure;
mod step_part;
pub mod transaction;
pub mod undo;
pub mod unit;

use std::time::Duration;

use crate::sql::safe::Sql;
use crate::sql::text::SharedText;

/// How a step runs on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// All of it in one transaction, with its record.
    Transaction,
    /// Statement by statement, each recorded.
    Statements,
}

/// A file to be run.
#[derive(Clone, Debug)]
pub struct Step {
    /// The path of the file.
    pub label: String,
    /// The text, byte for byte.
    pub text: SharedText,
    /// How it runs.
    pub mode: Mode,
    /// How long it may take on the server; as the server has it if not set.
    pub timeout: Option<Duration>,
    /// How many of its units were done before, when it continues.
    pub done: usize,
    /// Whether the unit after those was started, and its outcome is unknown.
    pub uncertain: bool,
}

/// What is recorded next to a step, in the same transaction as what it records.
pub trait StepRecorder: Send + Sync {
    /// Runs first in the transaction of a whole step: keeps others out.
    fn lock_history(&self) -> Sql;
    /// Returns a condition that holds from the opening to the end of its transaction.
    fn history_is_locked(&self) -> Option<Sql> {
        None
    }
    /// Records that a unit is about to run which runs outside a transaction; the note is an expression.
    fn unit_began(&self, unit: usize, note: &Sql) -> Sql;
    /// Records that a unit is done; the note is an expression.
    fn unit_done(&self, unit: usize, note: &Sql) -> Sql;
    /// Reads the note of the newest such record since the step was last done or undone: at most one row of one text.
    fn unit_note(&self, _unit: usize, _moment: UnitMoment) -> Option<Sql> {
        None
    }
    /// Records that the step is done.
    fn step_done(&self, statements: usize, lock_waits: usize) -> Sql;
    /// Asks whether any run has recorded the whole step: one row of one boolean; `None` where nothing is recorded.
    fn is_recorded(&self) -> Option<Sql>;
    /// Asks whether this run has recorded a unit, or the whole step, and whether it is still the newest record.
    ///
    /// One row of two booleans. Asked when the answer to a COMMIT was lost; none where nothing is recorded.
    fn is_recorded_by_this_run(&self, unit: Option<usize>) -> Option<Sql>;
}

/// Which record of a unit is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitMoment {
    /// The one made before it ran.
    Began,
    /// The one made after it.
    Done,
}

/// What running a step took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompletedStep {
    /// Statements run.
    pub statements: usize,
    /// How often a lock was waited for without success.
    pub lock_waits: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether another process did it at the same moment.
    pub by_others: bool,
}
