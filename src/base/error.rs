//! Failures: an error message, the hint that follows it and the exit status.

use std::fmt;

use crate::finding::Finding;

/// How the program ends after an error; the exit statuses are a stable interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Failed; the database is unchanged.
    CannotDo,
    /// Stopped part-way; the report lists what was applied.
    HalfWay,
    /// Refused: stale plan, missing approval or confirmation, failed guard; nothing was changed.
    Refused,
    /// Could not acquire locks within the lock budget; nothing was applied.
    Busy,
    /// Interrupted; the running statement was cancelled and rolled back.
    Interrupted,
}

impl Exit {
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

/// An error message with its hint.
///
/// Travels inside an [`anyhow::Error`]; found again with `err.downcast_ref::<Failure>()`.
#[derive(Debug)]
pub struct Failure {
    /// Lower case, without a full stop.
    pub message: String,
    /// What to do: a sentence or a command.
    pub hint: Option<String>,
    pub exit: Exit,
    /// The reasons, when a guard refused for more than one.
    pub findings: Vec<Finding>,
}

impl Failure {
    pub fn findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }

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

/// Makes a failure that left the database unchanged.
pub fn fail(message: impl Into<String>) -> Failure {
    with_exit(Exit::CannotDo, message)
}

/// Makes a refusal by a guard; nothing was changed.
pub fn refuse(message: impl Into<String>) -> Failure {
    with_exit(Exit::Refused, message)
}

pub fn with_exit(exit: Exit, message: impl Into<String>) -> Failure {
    Failure {
        message: message.into(),
        hint: None,
        exit,
        findings: Vec::new(),
    }
}

pub fn exit_of(error: &anyhow::Error) -> Exit {
    error
        .downcast_ref::<Failure>()
        .map_or(Exit::CannotDo, |failure| failure.exit)
}

pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error
        .downcast_ref::<Failure>()
        .and_then(|failure| failure.hint.as_deref())
}

/// Unwraps a failure that passed through code that only returns `io::Error`.
pub fn failure_in_stream_error(error: anyhow::Error) -> anyhow::Error {
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
    fn a_failure_survives_a_stream_error() {
        let stream = std::io::Error::other(refuse("no").hint("ask"));
        let error = failure_in_stream_error(stream.into());
        assert_eq!(exit_of(&error), Exit::Refused);
        assert_eq!(hint_of(&error), Some("ask"));
        let plain = failure_in_stream_error(std::io::Error::other("x").into());
        assert!(plain.is::<std::io::Error>());
    }

    #[test]
    fn other_errors_exit_as_failed() {
        let error = std::fs::read("/nonexistent/file")
            .context("reading")
            .unwrap_err();
        assert_eq!(exit_of(&error).code(), 2);
        assert_eq!(hint_of(&error), None);
    }
}
