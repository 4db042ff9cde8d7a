//! Owns keeping a run to what was predicted: the look right before each commit, and what is said when it is not so.

use crate::error::refuse;
use crate::plan::climb::Piece;
use crate::plan::execution::Execution;
use crate::plan::observe::StepObservation;
use crate::plan::observe::guard::{self, Before};
use crate::plan::trouble::{Stopped, trouble_of};

impl Execution<'_> {
    /// Takes stock before a transaction of a step that a plan speaks of.
    pub(super) async fn before(&self, piece: &Piece<'_>) -> Result<Option<Before>, Stopped> {
        if self.prediction(piece).is_none() {
            return Ok(None);
        }
        let before = guard::before(&self.session).await;
        let before = before.map_err(|error| Stopped::RolledBack(trouble_of(&error)))?;
        Ok(Some(before))
    }

    /// Rolls back a transaction that did what the plan does not say.
    pub(super) async fn keep_to_the_plan(
        &self,
        piece: &Piece<'_>,
        before: Option<&Before>,
    ) -> Result<(), Stopped> {
        let (Some(before), Some(predicted)) = (before, self.prediction(piece)) else {
            return Ok(());
        };
        let numbers = piece.statements.start + 1..=piece.statements.end;
        let found = guard::deviations(&self.session, before, predicted, numbers).await;
        let trouble = match found {
            Ok(deviations) if deviations.is_empty() => return Ok(()),
            Ok(deviations) => {
                let words = format!(
                    "it did what the plan does not say: {}",
                    deviations.join("; ")
                );
                let hint = "the target is not what it was when the plan was made; look at af-db status, and plan again";
                trouble_of(&refuse(words).hint(hint).into())
            }
            Err(error) => trouble_of(&error),
        };
        self.session.roll_back().await;
        Err(Stopped::RolledBack(trouble))
    }

    fn prediction(&self, piece: &Piece<'_>) -> Option<&StepObservation> {
        let label = &piece.step.label;
        self.predicted.iter().find(|step| step.label == *label)
    }
}
