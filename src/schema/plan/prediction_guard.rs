//! Keeps a run to what was predicted: the look right before each commit, and what is said when it is not so.

use crate::error::refuse;
use crate::plan::execution::Execution;
use crate::plan::observe::guard::{CommittedPart, TargetSnapshot};
use crate::plan::step_failure::{Stopped, failure_from};
use crate::plan::step_part::StepPart;

impl Execution<'_> {
    /// Takes stock before the first step of a plan.
    pub(super) async fn snapshot_target(&mut self) -> Result<(), Stopped> {
        if self.prediction.is_some() && self.snapshot.is_none() {
            let snapshot = TargetSnapshot::take(&self.session).await;
            self.snapshot =
                Some(snapshot.map_err(|error| Stopped::RolledBack(failure_from(&error)))?);
        }
        Ok(())
    }

    /// Refreshes the snapshot before a step's transaction.
    pub(super) async fn refresh_snapshot(&mut self) -> Result<(), Stopped> {
        if let Some(snapshot) = &mut self.snapshot {
            let looked = snapshot.refresh(&self.session).await;
            looked.map_err(|error| Stopped::RolledBack(failure_from(&error)))?;
        }
        Ok(())
    }

    /// Begins to count rows before an attempt at a step's transaction.
    pub(super) async fn count_rows_before(&mut self) -> Result<(), Stopped> {
        if let Some(snapshot) = &mut self.snapshot {
            let counted = snapshot.count(&self.session).await;
            counted.map_err(|error| Stopped::RolledBack(failure_from(&error)))?;
        }
        Ok(())
    }

    /// Adds relations created by a non-transactional statement to those created by the plan.
    pub(super) async fn adopt_new_relations(&mut self) -> Result<(), Stopped> {
        if let Some(snapshot) = &mut self.snapshot {
            let adopted = snapshot.adopt(&self.session).await;
            adopted.map_err(|error| Stopped::RolledBack(failure_from(&error)))?;
        }
        Ok(())
    }

    /// Rolls back a transaction that did what the plan does not say.
    pub(super) async fn check_prediction(&mut self, part: &StepPart<'_>) -> Result<(), Stopped> {
        let (Some(prediction), Some(snapshot)) = (&self.prediction, &mut self.snapshot) else {
            return Ok(());
        };
        let Some(step) = prediction.step(&part.step.label) else {
            return Ok(());
        };
        let committed = CommittedPart {
            step,
            statements: part.statements.start + 1..=part.statements.end,
            unit: part.unit,
        };
        let found = snapshot
            .deviations(&self.session, prediction, &committed)
            .await;
        let failure = match found {
            Ok(deviations) if deviations.is_empty() => return Ok(()),
            Ok(deviations) => {
                let words = format!(
                    "the step had effects that are not in the plan: {}",
                    deviations.join("; ")
                );
                let hint = "the database has changed since the plan was made; check af-db status, and plan again";
                failure_from(&refuse(words).hint(hint).into())
            }
            Err(error) => failure_from(&error),
        };
        self.session.roll_back().await;
        Err(Stopped::RolledBack(failure))
    }
}
