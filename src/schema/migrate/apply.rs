//! Applies and reverts migrations, each as a step with its history row and journal row.

use anyhow::{Context as _, Result};

use crate::error::Failure;
use crate::event::{Event, Watch};
use crate::migrate::files::{Direction, Migration};
use crate::migrate::job::{self, RecordSettings};
use crate::migrate::journal::Unfinished;
use crate::migrate::refinery::{self, MigrationJob};
use crate::migrate::stopped_run::record_and_report;
use crate::plan::CompletedStep;
use crate::plan::execution::Execution;

/// A migration that was applied or reverted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AppliedMigration {
    pub version: i64,
    pub name: String,
    /// The file that was run.
    pub file: String,
    /// How many statements it has.
    pub statements: usize,
    /// How often a lock was waited for without success.
    pub lock_waits: usize,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What a run did, and why it stopped if it did.
#[derive(Debug, Default)]
pub struct RunOutcome {
    /// What is done, in order.
    pub applied: Vec<AppliedMigration>,
    /// Why it stopped.
    pub stopped: Option<Failure>,
}

/// Applies migrations, in refinery's order; stops at the first that fails.
pub async fn up(
    execution: &mut Execution<'_>,
    ledger: &RecordSettings,
    migrations: &[&Migration],
    unfinished: &[Unfinished],
) -> Result<RunOutcome> {
    let watch = execution.watch();
    let jobs = jobs(ledger, migrations, Direction::Up, unfinished, None)?;
    tell_continued(&jobs, unfinished, watch);
    let told = |index: usize, done: &CompletedStep| watch(Event::Info(&line(&jobs[index], done)));
    let ran = refinery::run(execution, &jobs, &told).await?;
    let mut outcome = RunOutcome {
        applied: ran.applied.iter().zip(&jobs).map(applied).collect(),
        stopped: None,
    };
    if let Some(stopped) = ran.stopped {
        let at = outcome.applied.len();
        outcome.stopped = Some(record_and_report(execution, ledger, &jobs, at, stopped).await);
    }
    Ok(outcome)
}

/// Reverts migrations in the order given; stops at the first that fails.
pub async fn down(
    execution: &mut Execution<'_>,
    ledger: &RecordSettings,
    migrations: &[&Migration],
    unfinished: &[Unfinished],
    note: Option<String>,
) -> Result<RunOutcome> {
    let watch = execution.watch();
    let jobs = jobs(ledger, migrations, Direction::Down, unfinished, note)?;
    tell_continued(&jobs, unfinished, watch);
    let mut outcome = RunOutcome::default();
    for (at, job) in jobs.iter().enumerate() {
        match execution.run(&job.step, job.recorder.as_ref()).await {
            Ok(done) => {
                watch(Event::Info(&line(job, &done)));
                outcome.applied.push(applied((&done, job)));
            }
            Err(stopped) => {
                outcome.stopped =
                    Some(record_and_report(execution, ledger, &jobs, at, stopped).await);
                break;
            }
        }
    }
    Ok(outcome)
}

fn jobs<'j>(
    ledger: &'j RecordSettings,
    migrations: &[&'j Migration],
    direction: Direction,
    unfinished: &[Unfinished],
    note: Option<String>,
) -> Result<Vec<MigrationJob<'j>>> {
    let job = |migration: &&'j Migration| {
        let half = unfinished
            .iter()
            .find(|half| half.version == migration.version && half.direction == direction);
        job::job(ledger, migration, direction, half, note.clone())
            .with_context(|| format!("{} has no down migration", migration.up.shown))
    };
    migrations.iter().map(job).collect()
}

/// Reports which jobs an earlier run left half-way, and from where they continue.
fn tell_continued(jobs: &[MigrationJob<'_>], unfinished: &[Unfinished], watch: Watch<'_>) {
    for job in jobs {
        let version = job.migration.version;
        let half = unfinished
            .iter()
            .find(|half| half.version == version && half.direction == job.direction);
        let Some(half) = half else { continue };
        let from = match job.step.done {
            0 => "with statement 1".to_owned(),
            done => format!("with statement {}", done + 1),
        };
        watch(Event::Info(&format!(
            "{} was interrupted at {}; continuing {from}",
            job.step.label, half.at
        )));
    }
}

/// Returns what was done, as people read it.
fn line(job: &MigrationJob<'_>, done: &CompletedStep) -> String {
    if done.by_others {
        return format!(
            "{} was applied by another process at the same time",
            job.step.label
        );
    }
    let plural = if done.statements == 1 { "" } else { "s" };
    let word = match job.direction {
        Direction::Up => "applied",
        Direction::Down => "reverted",
    };
    let mut line = format!(
        "{word} {} ({} statement{plural}, {} ms",
        job.step.label,
        done.statements,
        done.took.as_millis()
    );
    if done.lock_waits > 0 {
        line.push_str(&format!(", after {} lock attempts", done.lock_waits + 1));
    }
    line.push(')');
    line
}

fn applied((done, job): (&CompletedStep, &MigrationJob<'_>)) -> AppliedMigration {
    AppliedMigration {
        version: job.migration.version,
        name: job.migration.name.clone(),
        file: job.step.label.clone(),
        statements: done.statements,
        lock_waits: done.lock_waits,
        took_ms: u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX),
    }
}
