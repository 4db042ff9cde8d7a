//! Owns the end of a run that stopped: what is recorded of it, what a person is told, what to do next.

use crate::error::{Exit, Failure, with_exit};
use crate::migrate::checksum;
use crate::migrate::job::Ledger;
use crate::migrate::journal::{self, Entry, State};
use crate::migrate::refinery::Job;
use crate::plan::execution::Execution;
use crate::plan::trouble::{Stopped, Trouble};
use crate::sql::position;

/// Records why a run stopped, as far as that can still be done, and says it.
pub(super) async fn halt(
    execution: &mut Execution<'_>,
    ledger: &Ledger,
    jobs: &[Job<'_>],
    at: usize,
    stopped: Stopped,
) -> Failure {
    let job = &jobs[at];
    let (state, done, trouble) = match stopped {
        Stopped::RolledBack(trouble) => (State::Failed, 0, trouble),
        Stopped::HalfWay(done, trouble) => (State::FailedHalfWay, done, trouble),
        Stopped::Unknown(trouble) => return lost(job, &trouble),
    };
    if !execution.session().is_closed() {
        let entry = Entry {
            version: Some(job.migration.version),
            name: Some(job.migration.name.clone()),
            statement: Some(done),
            up_sha256: Some(checksum::sha256(&job.migration.up.text)),
            error: Some(trouble.error.to_string()),
            ..Entry::default()
        };
        // What went wrong is what matters; that it could not be recorded as well adds nothing.
        let _ = execution
            .record(vec![journal::append(&ledger.run, state, &entry)])
            .await;
    }
    let half_way = state == State::FailedHalfWay;
    let exit = match trouble.exit {
        Exit::CannotDo | Exit::Busy if at > 0 || half_way => Exit::HalfWay,
        other => other,
    };
    let mut failure = with_exit(
        exit,
        message(job, (at, jobs.len()), (half_way, done), &trouble),
    );
    let again = (exit == Exit::Interrupted).then(|| "run it again".to_owned());
    failure.hint = trouble.hint.or(again).or_else(|| hint(job, half_way));
    failure
}

fn message(
    job: &Job<'_>,
    (at, total): (usize, usize),
    (half_way, done): (bool, usize),
    trouble: &Trouble,
) -> String {
    let label = &job.step.label;
    let mut message = match (at, half_way) {
        (0, false) => format!("{label} was rolled back, nothing was applied"),
        (0, true) => format!("stopped in {label}, {done} of its statements are done"),
        (_, false) => format!("{label} was rolled back, the first {at} of {total} are applied"),
        (_, true) => format!(
            "stopped in {label} after {done} of its statements, the first {at} of {total} are applied"
        ),
    };
    message.push_str(&format!(": {}", trouble.error));
    if let Some(offset) = trouble.offset {
        let place = position::of_byte(&job.step.text, offset);
        let statement = trouble
            .statement
            .map_or_else(String::new, |number| format!(", statement {number}"));
        let quoted = position::quote(&job.step.text, place);
        message.push_str(&format!(
            "\n  at {label}:{}:{}{statement}\n{quoted}",
            place.line, place.column
        ));
    }
    message
}

fn hint(job: &Job<'_>, half_way: bool) -> Option<String> {
    let command = "af-db up";
    Some(if half_way {
        format!(
            "mend the cause and run {command} again: it continues behind what is done; {} must not change above that",
            job.step.label
        )
    } else {
        format!("mend {} and run {command} again", job.step.label)
    })
}

fn lost(job: &Job<'_>, trouble: &Trouble) -> Failure {
    let label = &job.step.label;
    with_exit(
        Exit::HalfWay,
        format!(
            "the connection was lost while {label} was being committed: {}",
            trouble.error
        ),
    )
    .hint("run af-db status: it says whether it was")
}
