//! Why a step failed, and how much of it remains applied.

use crate::error::{Exit, Failure, fail, with_exit};
use crate::pg::server_error::ServerError;
use crate::plan::unit::Outline;

/// Why a step did not run to its end.
#[derive(Debug)]
pub enum Stopped {
    NotBegun(StepFailure),
    /// Rolled back completely.
    RolledBack(StepFailure),
    /// Partially applied.
    HalfWay(PartialProgress, StepFailure),
    /// Partially applied, and the outcome of the last statement is unknown.
    Unknown(PartialProgress, StepFailure),
}

/// How much of a step is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartialProgress {
    /// Units, as they are recorded.
    pub units: usize,
    /// Statements, as people count.
    pub statements: usize,
}

impl Stopped {
    /// Returns what went wrong.
    pub fn failure(&self) -> &StepFailure {
        match self {
            Stopped::NotBegun(failure)
            | Stopped::RolledBack(failure)
            | Stopped::HalfWay(_, failure)
            | Stopped::Unknown(_, failure) => failure,
        }
    }
}

/// What went wrong and where.
#[derive(Debug)]
pub struct StepFailure {
    /// How the program ends.
    pub exit: Exit,
    /// The error message.
    pub error: ServerError,
    /// The byte of the text it points at, or where its statement begins.
    pub offset: Option<usize>,
    /// The statement, counted from 1.
    pub statement: Option<usize>,
    /// What to do next.
    pub hint: Option<String>,
    /// Whether a record was refused because the migration lock or our transaction was gone.
    pub is_unconfirmed: bool,
}

pub(crate) fn with_progress(half: PartialProgress, stopped: Stopped) -> Stopped {
    match stopped {
        Stopped::RolledBack(failure) if half.units > 0 => Stopped::HalfWay(half, failure),
        Stopped::Unknown(_, failure) => Stopped::Unknown(half, failure),
        other => other,
    }
}

pub(crate) fn failure_from(error: &anyhow::Error) -> StepFailure {
    let server = error.downcast_ref::<ServerError>().cloned();
    let ours = error.downcast_ref::<Failure>();
    StepFailure {
        exit: ours.map_or(Exit::CannotDo, |failure| failure.exit),
        error: server.unwrap_or_else(|| ServerError {
            message: error.to_string(),
            ..ServerError::default()
        }),
        offset: None,
        statement: None,
        hint: ours.and_then(|failure| failure.hint.clone()),
        is_unconfirmed: false,
    }
}

pub(crate) fn interrupted() -> StepFailure {
    failure_from(&with_exit(Exit::Interrupted, "interrupted").into())
}

pub(crate) fn overtaken() -> StepFailure {
    let words = "the connection was lost, and another run changed this database before the connection was restored";
    failure_from(&fail(words).hint("run the command again").into())
}

pub(crate) fn unknown_outcome(outline: &Outline, statement: usize) -> StepFailure {
    let words = "an earlier run was interrupted during this statement, and the catalog does not show whether it took effect";
    let hint = "check the database, then record the outcome: af-db repair --resume VERSION --as done, or --as not-done";
    let mut failure = failure_from(&fail(words).hint(hint).into());
    failure.offset = outline.statements.get(statement).map(|range| range.start);
    failure.statement = Some(statement + 1);
    failure
}
