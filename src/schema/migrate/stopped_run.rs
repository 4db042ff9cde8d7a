//! Records a run that stopped, and reports what happened and what to do next.

use crate::error::{Exit, Failure, with_exit};
use crate::migrate::count_statements;
use crate::migrate::files::Direction;
use crate::migrate::job::RecordSettings;
use crate::migrate::journal::{self, JournalEntry, JournalState};
use crate::migrate::refinery::MigrationJob;
use crate::plan::Mode;
use crate::plan::execution::Execution;
use crate::plan::step_failure::{PartialProgress, StepFailure, Stopped};
use crate::sql::position;

/// Records why a run stopped, as far as possible, and returns the error.
pub(super) async fn record_and_report(
    execution: &mut Execution<'_>,
    ledger: &RecordSettings,
    jobs: &[MigrationJob<'_>],
    at: usize,
    stopped: Stopped,
) -> Failure {
    let job = &jobs[at];
    let recorded = match &stopped {
        Stopped::RolledBack(failure) => Some((JournalState::Failed, 0, failure)),
        Stopped::HalfWay(half, failure) => Some((
            JournalState::failed_half_way(job.direction),
            half.units,
            failure,
        )),
        // The existing record already shows where the next run has to continue.
        Stopped::NotBegun(_) | Stopped::Unknown(..) => None,
    };
    if let Some((state, units, failure)) = recorded
        && !execution.session().is_closed()
    {
        let entry = JournalEntry {
            statement: Some(units),
            error: Some(failure.error.to_string()),
            ..job.entry.clone()
        };
        // What went wrong is what matters; that it could not be recorded as well adds nothing.
        let _ = execution
            .record(vec![journal::append(&ledger.run, state, &entry)])
            .await;
    }
    tell(job, at, jobs.len(), stopped)
}

fn tell(job: &MigrationJob<'_>, at: usize, total: usize, stopped: Stopped) -> Failure {
    let mut message = what(job, &stopped);
    let word = match job.direction {
        Direction::Up => "applied",
        Direction::Down => "reverted",
    };
    let half_way = matches!(stopped, Stopped::HalfWay(..) | Stopped::Unknown(..));
    match (at, half_way) {
        (0, false) => message.push_str(&format!("; nothing was {word}")),
        (0, true) => {}
        _ => message.push_str(&format!("; {at} of {total} migrations {word}")),
    }
    let hint = hint(job, &stopped);
    let failure = stopped.failure();
    message.push_str(&format!(": {}", reason(job, failure)));
    let exit = match failure.exit {
        Exit::CannotDo | Exit::Busy | Exit::Refused if at > 0 || half_way => Exit::HalfWay,
        other => other,
    };
    with_exit(exit, message).hint(hint)
}

/// Returns what stays of the migration that stopped.
fn what(job: &MigrationJob<'_>, stopped: &Stopped) -> String {
    let label = &job.step.label;
    match stopped {
        Stopped::NotBegun(_) => format!("{label} was not started"),
        Stopped::RolledBack(_) => format!("{label} was rolled back"),
        Stopped::HalfWay(PartialProgress { statements, .. }, _) => {
            format!("stopped in {label} after {}", count_statements(*statements))
        }
        Stopped::Unknown(..) if job.step.mode == Mode::Transaction => {
            format!("stopped at the COMMIT of {label}; unknown whether it was applied")
        }
        Stopped::Unknown(PartialProgress { statements: 0, .. }, _) => {
            format!("stopped in {label}; the outcome of the first statement is unknown")
        }
        Stopped::Unknown(PartialProgress { statements, .. }, _) => {
            format!(
                "stopped in {label} after {}; the outcome of the next statement is unknown",
                count_statements(*statements)
            )
        }
    }
}

fn reason(job: &MigrationJob<'_>, failure: &StepFailure) -> String {
    let mut reason = failure.error.to_string();
    if failure.error.closed {
        reason.insert_str(0, "the connection was lost: ");
    }
    if let Some(offset) = failure.offset {
        let label = &job.step.label;
        let place = position::of_byte(&job.step.text, offset);
        let statement = failure
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
    let failure = stopped.failure();
    if let Some(hint) = &failure.hint {
        return hint.replace("VERSION", &job.migration.version.to_string());
    }
    let command = match job.direction {
        Direction::Up => "af-db up",
        Direction::Down => "af-db down",
    };
    let label = &job.step.label;
    if failure.error.is_about_the_server() && !failure.error.closed {
        let advice = failure
            .error
            .advice()
            .unwrap_or("the statement is not the cause: see the server log");
        let again = match advice.ends_with("again") {
            true => "",
            false => "; then run the command again",
        };
        return format!("{advice}{again}: {command}");
    }
    let outside = failure.error.closed || failure.exit == Exit::Interrupted;
    match (stopped, outside) {
        (Stopped::HalfWay(..), true) => {
            format!("run {command} again to continue after the completed statements")
        }
        (_, true) => format!("run {command} again"),
        (Stopped::HalfWay(..), false) => {
            let back = match job.direction {
                Direction::Up => "; or undo the completed statements: af-db up --abort",
                Direction::Down => "",
            };
            format!(
                "fix the cause and run {command} again to continue after the completed statements, which must stay unchanged in {label}{back}"
            )
        }
        _ => format!("fix {label} and run {command} again"),
    }
}
