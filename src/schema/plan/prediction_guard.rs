//! Keeps a run to what was predicted: the look right before each commit, and what is said when it is not so.

use crate::error::refuse;
use crate::plan::execution::Execution;
use crate::plan::observe::guard::{CommittedPart, TargetSnapshot};
use crate::plan::step_failure::{Stopped, failure_from};
use crate::plan::step_part::StepPart;

impl Execution<'_> {
    /// Takes stock before the first step of a plan.
    pub(super) async fn take_stock(&mut self) -> Result<(), Stopped> {
        if self.prediction.is_some() && self.stock.is_none() {
            let stock = TargetSnapshot::take(&self.session).await;
            self.stock = Some(stock.map_err(|error| Stopped::RolledBack(failure_from(&error)))?);
        }
        Ok(())
    }

    /// Looks again before a step's transaction.
    pub(super) async fn look_before(&mut self) -> Result<(), Stopped> {
        if let Some(stock) = &mut self.stock {
            let looked = stock.refresh(&self.session).await;
            looked.map_err(|error| Stopped::RolledBack(failure_from(&error)))?;
        }
        Ok(())
    }

    /// Begins to count rows before an attempt at a step's transaction.
    pub(super) async fn count_before(&mut self) -> Result<(), Stopped> {
        if let Some(stock) = &mut self.stock {
            let counted = stock.count(&self.session).await;
            counted.map_err(|error| Stopped::RolledBack(failure_from(&error)))?;
        }
        Ok(())
    }

    /// Takes for the plan's own what a statement has created that no transaction could hold.
    pub(super) async fn adopt(&mut self) -> Result<(), Stopped> {
        if let Some(stock) = &mut self.stock {
            let adopted = stock.adopt(&self.session).await;
            adopted.map_err(|error| Stopped::RolledBack(failure_from(&error)))?;
        }
        Ok(())
    }

    /// Rolls back a transaction that did what the plan does not say.
    pub(super) async fn keep_to_the_plan(&mut self, piece: &StepPart<'_>) -> Result<(), Stopped> {
        let (Some(prediction), Some(stock)) = (&self.prediction, &mut self.stock) else {
            return Ok(());
        };
        let Some(step) = prediction.step(&piece.step.label) else {
            return Ok(());
        };
        let part = CommittedPart {
            step,
            statements: piece.statements.start + 1..=piece.statements.end,
            unit: piece.unit,
        };
        let found = stock.deviations(&self.session, prediction, &part).await;
        let trouble = match found {
            Ok(deviations) if deviations.is_empty() => return Ok(()),
            Ok(deviations) => {
                let words = format!(
                    "it did what the plan does not say: {}",
                    deviations.join("; ")
                );
                let hint = "the target is not what it was when the plan was made; look at af-db status, and plan again";
                failure_from(&refuse(words).hint(hint).into())
            }
            Err(error) => failure_from(&error),
        };
        self.session.roll_back().await;
        Err(Stopped::RolledBack(trouble))
    }
}
