//! `af-db up`: applies pending migrations.

use anyhow::Result;
use serde::Serialize;

use crate::commands::page::{Page, count};
use crate::commands::{Context, Outcome, Purpose, Report, project};
use crate::error::{fail, refuse};
use crate::finding::{Finding, Severity};
use crate::migrate::apply::{self, Applied};
use crate::migrate::files::{Direction, Migration};
use crate::migrate::judge;
use crate::migrate::standing::{self, Standing};
use crate::pg::lock::{self, Share};
use crate::plan::execution::Execution;

/// Flags of `up`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Stop after the migration of this version
    #[arg(long, value_name = "VERSION", conflicts_with = "steps")]
    to: Option<i64>,
    /// Apply at most this many
    #[arg(long, value_name = "NUMBER")]
    steps: Option<usize>,
    /// Apply also what is older than the newest applied migration
    #[arg(long)]
    allow_out_of_order: bool,
    /// Wait at most this long for another run to finish, such as 30s
    #[arg(long, value_name = "TIME", default_value = "30s")]
    wait: String,
    /// Try at most this long to get a migration's locks, such as 10min
    #[arg(long, value_name = "TIME")]
    lock_budget: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct UpReport {
    database: String,
    environment: String,
    applied: Vec<Applied>,
    pending: usize,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let (session, target) = context.open(Purpose::Writing).await?;
    let watch = context.watch();
    // Held until the session ends.
    let _lock = lock::take(
        &session,
        Share::Alone,
        project::duration("--wait", &args.wait)?,
        &watch,
    )
    .await?;
    let books = project::books(context, &session).await?;
    let fresh = project::fresh_width(context, &folder)?;
    let standing = standing::compare(&folder, &books.history, &books.unfinished, fresh);
    let (chosen, later) = choose(args, &folder.migrations, &standing)?;
    let findings = obstacles(args, &standing, &chosen, &books.unfinished)?;
    let mut report = UpReport {
        database: target.to_string(),
        environment: context.config.database.environment.clone(),
        applied: Vec::new(),
        pending: later,
        findings,
    };
    if chosen.is_empty() {
        return context.show(&report);
    }
    project::confirm(context, &target, &describe(&chosen))?;
    let ledger = project::ledger(context, &books.history, &folder)?;
    project::create_books(&session, &ledger, &books.history).await?;
    let ladder = project::ladder(context, args.lock_budget.as_deref())?;
    let guard = context.interrupt.guard();
    let mut execution = Execution::new(session, &target, ladder, &watch, &context.interrupt);
    let outcome = apply::up(&mut execution, &ledger, &chosen, &books.unfinished).await?;
    drop(guard);
    execution.finish().close().await;
    if let Some(failure) = outcome.stopped {
        return Err(failure.into());
    }
    report.applied = outcome.applied;
    context.show(&report)
}

/// Gives what this run applies, and how many stay pending behind it.
fn choose<'m>(
    args: &Args,
    files: &'m [Migration],
    standing: &Standing,
) -> Result<(Vec<&'m Migration>, usize)> {
    if let Some(to) = args.to
        && !files.iter().any(|file| file.version == to)
    {
        return Err(fail(format!("there is no migration {to}"))
            .hint("see af-db status")
            .into());
    }
    let wanted = |file: &&Migration| {
        let late = args.allow_out_of_order && standing.out_of_order.contains(&file.version);
        late || standing.pending.binary_search(&file.version).is_ok()
    };
    let pending: Vec<&Migration> = files.iter().filter(wanted).collect();
    let total = pending.len();
    let until = |file: &&Migration| args.to.is_none_or(|to| file.version <= to);
    let chosen: Vec<&Migration> = pending
        .into_iter()
        .filter(until)
        .take(args.steps.unwrap_or(usize::MAX))
        .collect();
    let later = total - chosen.len();
    Ok((chosen, later))
}

/// Refuses when anything stands in the way; gives what is merely worth saying.
fn obstacles(
    args: &Args,
    standing: &Standing,
    chosen: &[&Migration],
    unfinished: &[crate::migrate::journal::Unfinished],
) -> Result<Vec<Finding>> {
    let mut findings = standing.findings.clone();
    // What this run is going to finish, or was told to allow, is no obstacle.
    findings.retain(|finding| finding.code != "history-half-run");
    if args.allow_out_of_order {
        findings.retain(|finding| finding.code != "history-out-of-order");
    }
    for migration in chosen {
        findings.extend(judge::judge(migration, Direction::Up));
        findings.extend(judge::judge_continuing(
            migration,
            Direction::Up,
            unfinished,
        ));
    }
    let (wrong, rest): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    if wrong.is_empty() {
        return Ok(rest);
    }
    let faults = count(wrong.len(), "fault stands", "faults stand");
    Err(refuse(format!("{faults} in the way, nothing was applied"))
        .findings(wrong)
        .into())
}

fn describe(chosen: &[&Migration]) -> String {
    let mut text = format!(
        "{} will be applied:\n",
        count(chosen.len(), "migration", "migrations")
    );
    for migration in chosen {
        text.push_str(&format!("  {}\n", migration.up.shown));
    }
    text
}

impl Report for UpReport {
    fn command(&self) -> &'static str {
        "up"
    }

    fn human(&self, page: &mut Page) {
        let database = &self.database;
        if self.applied.is_empty() {
            page.line(format!("nothing to apply, {database} is up to date"));
            return;
        }
        let applied = count(self.applied.len(), "migration", "migrations");
        let pending = if self.pending > 0 {
            format!(", {} still pending", self.pending)
        } else {
            String::new()
        };
        page.line(format!("applied {applied} to {database}{pending}"));
    }

    fn outcome(&self) -> Outcome {
        Outcome::Clean
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
