//! Steps to be observed.

use af_db::event::silent;
use af_db::plan::observe::{StatementObservation, StepObservation, run};
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

/// Puts an observation into a few words.
pub(super) fn told(statement: &StatementObservation) -> String {
    let mut words = Vec::new();
    let locks = statement.locks.iter();
    words.extend(locks.map(|lock| format!("{} {}", lock.mode, lock.relation)));
    let rewrites = statement.rewrites.iter();
    words.extend(rewrites.map(|it| format!("{:?} {}", it.how, it.relation)));
    words.extend(
        statement
            .scans
            .iter()
            .map(|it| format!("scan {}", it.relation)),
    );
    words.extend(
        statement
            .builds
            .iter()
            .map(|it| format!("build {}", it.index)),
    );
    words.extend(
        statement
            .rows
            .iter()
            .map(|it| format!("rows {}", it.relation)),
    );
    words.extend(statement.dropped.iter().map(|it| {
        let named = if it.named { "" } else { " cascaded" };
        let loses = if it.loses.is_some() { " lost" } else { "" };
        format!("drop {} {}{named}{loses}", it.kind, it.name)
    }));
    words.extend(statement.security.iter().map(|it| {
        let sign = if it.opens { '+' } else { '-' };
        format!("{sign}{}: {}", it.object, it.change)
    }));
    if let Some(failed) = &statement.failed {
        words.push(format!("failed {}", failed.sqlstate));
    }
    words.join("; ")
}
