//! `af-db up`: applies pending migrations.

use anyhow::Result;
use serde::Serialize;

use crate::commands::archives;
use crate::commands::change::approved_plan::{self, ApprovedPlan};
use crate::commands::change::planning::PlanInputs;
use crate::commands::change::run::{Budgets, GuardedRun, Migrations};
use crate::commands::change::select::{self, Selection};
use crate::commands::page::{Page, count};
use crate::commands::{
    Context, Outcome, Purpose, Report, abort, change::gate, change::verify, fleet, project,
};
use crate::finding::{Finding, Severity};
use crate::migrate::apply::AppliedMigration;
use crate::pg::lock::LockedSession;

/// PlanFlags of `up`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    guard: approved_plan::PlanFlags,
    /// Migrate every database of this fleet, wave by wave
    #[arg(long, value_name = "FILE", conflicts_with = "signature")]
    fleet: Option<std::path::PathBuf>,
    /// Undo a partially applied migration as far as possible
    #[arg(long, conflicts_with_all = [
        "plan", "approve", "signature", "resume", "fleet", "to", "steps", "allow_out_of_order", "lock_budget", "block_budget"
    ])]
    abort: bool,
    /// Wait at most this long for another run to finish
    #[arg(long, value_name = "TIME", default_value = "30s")]
    wait: String,
    #[command(flatten)]
    budgets: Budgets,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct UpReport {
    database: String,
    environment: String,
    applied: Vec<AppliedMigration>,
    pending: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restore_point: Option<verify::RestorePoint>,
    /// The command that restores the newest verified backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    undone_by: Option<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    if args.abort {
        return abort::run(context, &args.wait).await;
    }
    if let Some(path) = &args.fleet {
        let orders = fleet::UpOptions {
            selection: &args.selection,
            plan: args.guard.plan.as_deref(),
            approve: args.guard.approve.as_deref(),
            resume: args.guard.resume,
            budgets: &args.budgets,
        };
        return fleet::up(context, path, &orders).await;
    }
    one(args, context).await
}

/// Migrates one database.
async fn one(args: &Args, context: &Context) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let bound = ApprovedPlan::load(&args.guard)?;
    let (session, target) = context.open(Purpose::Writing).await?;
    let watch = context.watch();
    let wait = project::duration("--wait", &args.wait)?;
    let session = LockedSession::take(session, wait, &watch).await?;
    let records = project::history_and_journal(context, &session).await?;
    let standing = project::migration_status(context, &folder, &records)?;
    let selection = match &bound {
        Some(bound) => {
            bound
                .selection(&session, &records, &folder, &standing)
                .await?
        }
        None => args.selection.clone(),
    };
    let (chosen, later) = select::choose(&selection, &folder.migrations, &standing)?;
    let findings = select::obstacles(&selection, &standing, &chosen, &records.unfinished)?;
    let mut report = UpReport {
        database: target.to_string(),
        environment: context.config.database.environment().to_owned(),
        applied: Vec::new(),
        pending: later,
        plan: bound.as_ref().map(|bound| bound.sha256.clone()),
        approved_by: None,
        restore_point: None,
        undone_by: None,
        findings,
    };
    if chosen.is_empty() && bound.is_none() {
        return context.show(&report);
    }
    let inputs = PlanInputs {
        folder: &folder,
        session: &session,
        records: &records,
        chosen: &chosen,
    };
    let permit = gate::admit(context, &args.guard, inputs, bound.as_ref(), &target).await?;
    report.approved_by.clone_from(&permit.approved_by);
    let mut ledger = project::record_settings(context, &records.history, &folder)?;
    ledger.run.plan_sha256.clone_from(&report.plan);
    let before = verify::before(&session).await?;
    project::create_history_tables(&session, &ledger, &records.history).await?;
    report.undone_by = archives::swap_back_command(context, &session);
    if context.config.database.is_protected() || bound.is_some() {
        report.restore_point = verify::restore_point(&session, &ledger.run.id).await;
    }
    let mut run = GuardedRun::new(context, &target, &args.budgets, &watch)?;
    run.prediction = permit.prediction;
    let migrations = Migrations {
        chosen: &chosen,
        ledger: &ledger,
        unfinished: &records.unfinished,
    };
    let (session, outcome) = run.up(session, migrations).await?;
    if let Some(failure) = outcome.stopped {
        session.close().await;
        return Err(failure.into());
    }
    report.applied = outcome.applied;
    let predicted = permit.predicted.as_ref();
    let found = verify::upgraded(context, &session, &before, &ledger.run, predicted).await?;
    report.findings.extend(found);
    session.close().await;
    context.show(&report)
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
        if let Some(plan) = &self.plan {
            page.line(format!("as planned: {plan}"));
        }
        if let Some(name) = &self.approved_by {
            page.line(format!("approved by {name}"));
        }
        if let Some(point) = &self.restore_point {
            page.line(format!("restore point `{}` at {}", point.name, point.lsn));
        }
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(&self.findings, Severity::Error)
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
