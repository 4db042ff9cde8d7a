//! Owns the end of a run that stopped: what is recorded of it, what a person is told, what to do next.

use crate::error::{Exit, Failure, with_exit};
use crate::migrate::files::Direction;
use crate::migrate::job::RecordSettings;
use crate::migrate::journal::{self, JournalEntry, JournalState};
use crate::migrate::refinery::MigrationJob;
use crate::plan::Mode;
use crate::plan::execution::Execution;
use crate::plan::step_failure::{PartialProgress, StepFailure, Stopped};
use crate::sql::position;

/// Records why a run stopped, as far as that can still be done, and says it.
pub(super) async fn record_and_report(
    execution: &mut Execution<'_>,
    ledger: &RecordSettings,
    jobs: &[MigrationJob<'_>],
    at: usize,
    stopped: Stopped,
) -> Failure {
    let job = &jobs[at];
    let recorded = match &stopped {
        Stopped::RolledBack(trouble) => Some((JournalState::Failed, 0, trouble)),
        Stopped::HalfWay(half, trouble) => Some((
            JournalState::failed_half_way(job.direction),
            half.units,
            trouble,
        )),
        // What stands there already says best where the next run has to look.
        Stopped::NotBegun(_) | Stopped::Unknown(..) => None,
    };
    if let Some((state, units, trouble)) = recorded
        && !execution.session().is_closed()
    {
        let entry = JournalEntry {
            statement: Some(units),
            error: Some(trouble.error.to_string()),
            ..job.entry.clone()
        };
        // What went wrong is what matters; that it could not be recorded as well adds nothing.
        let _ = execution
            .record(vec![journal::append(&ledger.run, state, &entry)])
            .await;
    }
    tell(job, (at, jobs.len()), stopped)
}

fn tell(job: &MigrationJob<'_>, (at, total): (usize, usize), stopped: Stopped) -> Failure {
    let mut message = what(job, &stopped);
    let word = match job.direction {
        Direction::Up => "applied",
        Direction::Down => "reverted",
    };
    let half_way = matches!(stopped, Stopped::HalfWay(..) | Stopped::Unknown(..));
    match (at, half_way) {
        (0, false) => message.push_str(&format!(", nothing was {word}")),
        (0, true) => {}
        _ => message.push_str(&format!(", the first {at} of {total} are {word}")),
    }
    let hint = hint(job, &stopped);
    let trouble = stopped.trouble();
    message.push_str(&format!(": {}", reason(job, trouble)));
    let exit = match trouble.exit {
        Exit::CannotDo | Exit::Busy | Exit::Refused if at > 0 || half_way => Exit::HalfWay,
        other => other,
    };
    with_exit(exit, message).hint(hint)
}

/// Says what stays of the migration that stopped.
fn what(job: &MigrationJob<'_>, stopped: &Stopped) -> String {
    let label = &job.step.label;
    match stopped {
        Stopped::NotBegun(_) => format!("{label} was not begun"),
        Stopped::RolledBack(_) => format!("{label} was rolled back"),
        Stopped::HalfWay(PartialProgress { statements, .. }, _) => {
            format!("stopped in {label}, {statements} of its statements are done")
        }
        Stopped::Unknown(..) if job.step.mode == Mode::Transaction => {
            format!("stopped at the end of {label}, all of it is done or nothing")
        }
        Stopped::Unknown(PartialProgress { statements: 0, .. }, _) => {
            format!("stopped in {label}, whose first statement may be done")
        }
        Stopped::Unknown(PartialProgress { statements, .. }, _) => {
            format!(
                "stopped in {label}, {statements} of its statements are done and the next may be"
            )
        }
    }
}

fn reason(job: &MigrationJob<'_>, trouble: &StepFailure) -> String {
    let mut reason = trouble.error.to_string();
    if trouble.error.closed {
        reason.insert_str(0, "the connection was lost: ");
    }
    if let Some(offset) = trouble.offset {
        let label = &job.step.label;
        let place = position::of_byte(&job.step.text, offset);
        let statement = trouble
            .statement
            .map_or_else(String::new, |number| format!(", statement {number}"));
        let quoted = position::quote(&job.step.text, place);
        reason.push_str(&format!(
            "\n  at {label}:{}:{}{statement}\n{quoted}",
            place.line, place.column
        ));
    }
    reason
}

fn hint(job: &MigrationJob<'_>, stopped: &Stopped) -> String {
    let trouble = stopped.trouble();
    if let Some(hint) = &trouble.hint {
        return hint.replace("VERSION", &job.migration.version.to_string());
    }
    let command = match job.direction {
        Direction::Up => "af-db up",
        Direction::Down => "af-db down",
    };
    let label = &job.step.label;
    if trouble.error.is_about_the_server() && !trouble.error.closed {
        let advice = trouble
            .error
            .advice()
            .unwrap_or("nothing is wrong with the statement: see the server's log");
        let again = match advice.ends_with("run it again") {
            true => "",
            false => "; then run it again",
        };
        return format!("{advice}{again}: {command}");
    }
    let outside = trouble.error.closed || trouble.exit == Exit::Interrupted;
    match (stopped, outside) {
        (Stopped::HalfWay(..), true) => {
            format!("run {command} again: it continues behind what is done")
        }
        (_, true) => format!("run {command} again"),
        (Stopped::HalfWay(..), false) => {
            let back = match job.direction {
                Direction::Up => "; or take back what is done: af-db up --abort",
                Direction::Down => "",
            };
            format!(
                "mend the cause and run {command} again: it continues behind what is done; {label} must not change above that{back}"
            )
        }
        _ => format!("mend {label} and run {command} again"),
    }
}
