//! Steps to be observed.

use af_db::event::silent;
use af_db::plan::observe::{StepObservation, run};
use af_db::plan::{Mode, Step};

use crate::support::server::Database;

/// Makes a step of a text.
pub(super) fn step(label: &str, text: &str) -> Step {
    let alone = text.starts_with("-- af-db: no-transaction");
    Step {
        label: label.to_owned(),
        text: text.into(),
        mode: if alone {
            Mode::Statements
        } else {
            Mode::Transaction
        },
        timeout: None,
        done: 0,
        uncertain: false,
    }
}

/// Observes one step on a database.
pub(super) async fn observe(database: &Database, text: &str) -> StepObservation {
    let mut observations = run::steps(&database.target, &[step("V1__x.sql", text)], &silent)
        .await
        .expect("an observation");
    observations.remove(0)
}
