//! Owns the shape of a failure: what went wrong, and what a person does next.
//!
//! Knows nothing of terminals or JSON; `commands::output` prints what stands here.

use std::fmt;

use crate::finding::Finding;

/// Says how the program ends when something could not be done; the codes are part of the surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Could not do it; the database is as it was.
    CannotDo,
    /// Stopped half-way; the report says what was applied.
    HalfWay,
    /// Refused: stale plan, missing approval or confirmation, failed guard; nothing touched.
    Refused,
    /// Locks could not be had within the budget; nothing applied, try again.
    Busy,
    /// Interrupted; the statement was cancelled and rolled back.
    Interrupted,
}

impl Exit {
    /// Gives the process exit status.
    pub fn code(self) -> u8 {
        match self {
            Exit::CannotDo => 2,
            Exit::HalfWay => 3,
            Exit::Refused => 4,
            Exit::Busy => 75,
            Exit::Interrupted => 130,
        }
    }
}

/// A message for a person, with the next step.
///
/// Travels inside an [`anyhow::Error`]; found again with `err.downcast_ref::<Failure>()`.
#[derive(Debug)]
pub struct Failure {
    /// What could not be done, lower case, without a full stop.
    pub message: String,
    /// What to do about it: a sentence or a command.
    pub hint: Option<String>,
    /// How the program ends.
    pub exit: Exit,
    /// What stands in the way, when a guard refused for more than one reason.
    pub findings: Vec<Finding>,
}

impl Failure {
    /// Adds what stands in the way.
    pub fn findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }

    /// Adds the next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Makes a failure that left the database as it was.
pub fn fail(message: impl Into<String>) -> Failure {
    with_exit(Exit::CannotDo, message)
}

/// Makes a refusal: a guard said no and nothing was touched.
pub fn refuse(message: impl Into<String>) -> Failure {
    with_exit(Exit::Refused, message)
}

/// Makes a failure that ends with the given status.
pub fn with_exit(exit: Exit, message: impl Into<String>) -> Failure {
    Failure {
        message: message.into(),
        hint: None,
        exit,
        findings: Vec::new(),
    }
}

/// Gives the exit status an error ends with.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    error
        .downcast_ref::<Failure>()
        .map_or(Exit::CannotDo, |failure| failure.exit)
}

/// Gives the hint an error carries.
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error
        .downcast_ref::<Failure>()
        .and_then(|failure| failure.hint.as_deref())
}

/// Gives back the failure that travelled through code which only knows errors of streams.
pub fn out_of_stream(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<std::io::Error>() {
        Ok(error) => match error.downcast::<Failure>() {
            Ok(failure) => failure.into(),
            Err(error) => error.into(),
        },
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_failure_survives_context() {
        let error = anyhow::Error::from(refuse("no").hint("ask")).context("while asking");
        assert_eq!(exit_of(&error), Exit::Refused);
        assert_eq!(hint_of(&error), Some("ask"));
        assert_eq!(error.to_string(), "while asking");
    }

    #[test]
    fn a_failure_comes_out_of_a_stream_as_it_went_in() {
        let stream = std::io::Error::other(refuse("no").hint("ask"));
        let error = out_of_stream(stream.into());
        assert_eq!(exit_of(&error), Exit::Refused);
        assert_eq!(hint_of(&error), Some("ask"));
        let plain = out_of_stream(std::io::Error::other("x").into());
        assert!(plain.is::<std::io::Error>());
    }

    #[test]
    fn any_other_error_could_not_be_done() {
        let error = std::fs::read("/nonexistent/file")
            .context("reading")
            .unwrap_err();
        assert_eq!(exit_of(&error).code(), 2);
        assert_eq!(hint_of(&error), None);
    }
}
