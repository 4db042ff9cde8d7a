//! Owns why a step did not run to its end, and what of it stays.

use crate::error::{Exit, Failure, fail, with_exit};
use crate::pg::server_error::ServerError;
use crate::plan::unit::Outline;

/// Why a step did not run to its end.
#[derive(Debug)]
pub enum Stopped {
    /// Nothing of it stays.
    RolledBack(Trouble),
    /// So many of its units stay.
    HalfWay(usize, Trouble),
    /// Nobody can say whether its COMMIT arrived: the connection was lost in between.
    Unknown(Trouble),
}

/// What went wrong and where.
#[derive(Debug)]
pub struct Trouble {
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
}

pub(crate) fn after(done: usize, stopped: Stopped) -> Stopped {
    match stopped {
        Stopped::RolledBack(trouble) if done > 0 => Stopped::HalfWay(done, trouble),
        other => other,
    }
}

pub(crate) fn trouble_of(error: &anyhow::Error) -> Trouble {
    let server = error.downcast_ref::<ServerError>().cloned();
    let failure = error.downcast_ref::<Failure>();
    Trouble {
        exit: failure.map_or(Exit::CannotDo, |failure| failure.exit),
        error: server.unwrap_or_else(|| ServerError {
            message: error.to_string(),
            ..ServerError::default()
        }),
        offset: None,
        statement: None,
        hint: failure.and_then(|failure| failure.hint.clone()),
    }
}

pub(crate) fn interrupted() -> Trouble {
    trouble_of(&with_exit(Exit::Interrupted, "interrupted").into())
}

pub(crate) fn unclear(outline: &Outline, statement: usize) -> Trouble {
    let words = "an earlier run was cut off while this statement ran, and nothing in the catalog tells whether it took effect";
    let hint =
        "look yourself, then say which: af-db repair --resume VERSION --as done, or --as not-done";
    let mut trouble = trouble_of(&fail(words).hint(hint).into());
    trouble.offset = outline.statements.get(statement).map(|range| range.start);
    trouble.statement = Some(statement + 1);
    trouble
}
