//! A range of a step's statements that is run as one.

use std::ops::Range;

use crate::error::Exit;
use crate::plan::Step;
use crate::plan::step_failure::StepFailure;
use crate::plan::transaction::TransactionError;
use crate::plan::unit::Outline;

/// A range of a step's statements.
pub(super) struct StepPart<'a> {
    pub(super) step: &'a Step,
    pub(super) outline: &'a Outline,
    pub(super) statements: Range<usize>,
    /// Which of the step's transactions it is, from 1.
    pub(super) unit: usize,
}

impl StepPart<'_> {
    pub(super) fn failure(&self, error: TransactionError) -> StepFailure {
        let statement = error.statement.map(|at| self.statements.start + at);
        let begin = statement
            .and_then(|at| self.outline.statements.get(at))
            .map(|range| range.start);
        StepFailure {
            exit: Exit::CannotDo,
            error: error.error,
            offset: error.offset.or(begin),
            statement: statement.map(|at| at + 1),
            hint: None,
            is_unconfirmed: false,
        }
    }
}
