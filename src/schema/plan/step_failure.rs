//! Owns why a step did not run to its end, and what of it stays.

use crate::error::{Exit, Failure, fail, with_exit};
use crate::pg::server_error::ServerError;
use crate::plan::unit::Outline;

/// Why a step did not run to its end.
#[derive(Debug)]
pub enum Stopped {
    /// It was not begun.
    NotBegun(StepFailure),
    /// Nothing of it stays.
    RolledBack(StepFailure),
    /// So much of it stays.
    HalfWay(PartialProgress, StepFailure),
    /// So much of it stays, and nobody can say yet whether what ran last took effect.
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
    /// Gives what went wrong.
    pub fn trouble(&self) -> &StepFailure {
        match self {
            Stopped::NotBegun(trouble)
            | Stopped::RolledBack(trouble)
            | Stopped::HalfWay(_, trouble)
            | Stopped::Unknown(_, trouble) => trouble,
        }
    }
}

/// What went wrong and where.
#[derive(Debug)]
pub struct StepFailure {
    /// How the program ends.
    pub exit: Exit,
    /// The server's words, or ours.
    pub error: ServerError,
    /// The byte of the text it points at, or where its statement begins.
    pub offset: Option<usize>,
    /// The statement, counted from 1.
    pub statement: Option<usize>,
    /// What a person does next.
    pub hint: Option<String>,
    /// Whether a record was refused because the migration lock or our transaction was gone.
    pub is_unconfirmed: bool,
}

pub(crate) fn with_progress(half: PartialProgress, stopped: Stopped) -> Stopped {
    match stopped {
        Stopped::RolledBack(trouble) if half.units > 0 => Stopped::HalfWay(half, trouble),
        Stopped::Unknown(_, trouble) => Stopped::Unknown(half, trouble),
        other => other,
    }
}

pub(crate) fn failure_from(error: &anyhow::Error) -> StepFailure {
    let server = error.downcast_ref::<ServerError>().cloned();
    let failure = error.downcast_ref::<Failure>();
    StepFailure {
        exit: failure.map_or(Exit::CannotDo, |failure| failure.exit),
        error: server.unwrap_or_else(|| ServerError {
            message: error.to_string(),
            ..ServerError::default()
        }),
        offset: None,
        statement: None,
        hint: failure.and_then(|failure| failure.hint.clone()),
        is_unconfirmed: false,
    }
}

pub(crate) fn interrupted() -> StepFailure {
    failure_from(&with_exit(Exit::Interrupted, "interrupted").into())
}

pub(crate) fn overtaken() -> StepFailure {
    let words = "the connection was lost, and another run worked on this database before there was a new one";
    failure_from(&fail(words).hint("run it again").into())
}

pub(crate) fn unknown_outcome(outline: &Outline, statement: usize) -> StepFailure {
    let words = "an earlier run was cut off while this statement ran, and nothing in the catalog tells whether it took effect";
    let hint =
        "look yourself, then say which: af-db repair --resume VERSION --as done, or --as not-done";
    let mut trouble = failure_from(&fail(words).hint(hint).into());
    trouble.offset = outline.statements.get(statement).map(|range| range.start);
    trouble.statement = Some(statement + 1);
    trouble
}
