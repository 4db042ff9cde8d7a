//! `af-db down`: reverts migrations whose down migrations were tested on a shadow database first.

use anyhow::Result;
use serde::Serialize;

use crate::commands::change::run::{Budgets, GuardedRun, Migrations};
use crate::commands::change::verify;
use crate::commands::page::{Page, count};
use crate::commands::{Context, Outcome, Purpose, Report, change::gate, project};
use crate::error::{fail, refuse};
use crate::finding::{Finding, Severity};
use crate::migrate::apply::AppliedMigration;
use crate::migrate::files::{Direction, Migration};
use crate::migrate::journal::Unfinished;
use crate::migrate::static_checks;
use crate::migrate::status::{self, MigrationState};
use crate::pg::lock::LockedSession;
use crate::pg::session::Session;
use crate::shadow::rollback;
use crate::sql::redact;

/// Flags of `down`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Revert this many migrations, newest first
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1,
        conflicts_with = "to"
    )]
    steps: usize,
    /// Revert every migration newer than this version; 0 reverts all
    #[arg(long, value_name = "VERSION")]
    to: Option<i64>,
    /// Accept that this object is not restored, by the name in the refusal (repeatable)
    #[arg(long, value_name = "OBJECT")]
    accept_loss: Vec<String>,
    /// Wait at most this long for another run to finish
    #[arg(long, value_name = "TIME", default_value = "30s")]
    wait: String,
    #[command(flatten)]
    budgets: Budgets,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DownReport {
    database: String,
    environment: String,
    reverted: Vec<AppliedMigration>,
    accepted_losses: Vec<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let (session, target) = context.open(Purpose::Writing).await?;
    let watch = context.watch();
    let wait = project::duration("--wait", &args.wait)?;
    let session = LockedSession::take(session, wait, &watch).await?;
    let records = project::history_and_journal(context, &session).await?;
    let standing = project::migration_status(context, &folder, &records)?;
    let applied: Vec<i64> = records.history.rows.iter().map(|row| row.version).collect();
    let chosen = choose(args, &applied)?;
    let mut report = DownReport {
        database: target.to_string(),
        environment: context.config.database.environment().to_owned(),
        reverted: Vec::new(),
        accepted_losses: args.accept_loss.clone(),
        findings: Vec::new(),
    };
    if chosen.is_empty() {
        return context.show(&report);
    }
    refuse_unsound(&standing, &chosen)?;
    let reverted: Vec<&Migration> = chosen
        .iter()
        .filter_map(|version| {
            folder
                .migrations
                .iter()
                .find(|migration| migration.version == *version)
        })
        .collect();
    refuse_impossible(&reverted, &args.accept_loss, &records.unfinished)?;
    report.findings = prove(
        args,
        context,
        &session,
        &folder.migrations,
        &applied,
        &chosen,
    )
    .await?;
    gate::backed_up(context, &session)?;
    ask(context, &session, &target, &reverted).await?;
    let ledger = project::record_settings(context, &records.history, &folder)?;
    project::create_history_tables(&session, &ledger, &records.history).await?;
    let before = verify::before(&session).await?;
    let note = (!args.accept_loss.is_empty())
        .then(|| args.accept_loss.join(", "))
        .map(|lost| format!("accepted the loss of {}", redact::addresses(&lost)));
    let migrations = Migrations {
        chosen: &reverted,
        ledger: &ledger,
        unfinished: &records.unfinished,
    };
    let run = GuardedRun::new(context, &target, &args.budgets, &watch)?;
    let (session, outcome) = run.down(session, migrations, note).await?;
    if let Some(failure) = outcome.stopped {
        session.close().await;
        return Err(failure.into());
    }
    report.reverted = outcome.applied;
    let left = verify::left_since(&session, &before).await?;
    report.findings.extend(left);
    session.close().await;
    context.show(&report)
}

/// The versions to revert, newest first.
fn choose(args: &Args, applied: &[i64]) -> Result<Vec<i64>> {
    let Some(to) = args.to else {
        return Ok(applied.iter().rev().take(args.steps).copied().collect());
    };
    if to != 0 && !applied.contains(&to) {
        return Err(fail(format!("migration {to} is not applied"))
            .hint("see af-db status")
            .into());
    }
    Ok(applied
        .iter()
        .rev()
        .take_while(|version| **version > to)
        .copied()
        .collect())
}

/// Refuses when what would be reverted is not what was applied.
fn refuse_unsound(standing: &status::FolderStatus, chosen: &[i64]) -> Result<()> {
    let sound = |state: MigrationState| {
        matches!(
            state,
            MigrationState::Applied
                | MigrationState::LineEndings
                | MigrationState::PartiallyReverted
        )
    };
    let unsound = standing
        .lines
        .iter()
        .find(|line| chosen.contains(&line.version) && !sound(line.state));
    let Some(line) = unsound else { return Ok(()) };
    let subject = format!("migration {}", line.version);
    let findings: Vec<Finding> = standing
        .findings
        .iter()
        .filter(|finding| finding.subject == subject)
        .cloned()
        .collect();
    Err(refuse(format!(
        "The file of {subject} is not what was applied, so its down migration may not fit. Nothing was reverted."
    ))
    .findings(findings)
    .into())
}

/// Refuses migrations that have no down migration or are marked as irreversible.
fn refuse_impossible(
    reverted: &[&Migration],
    accepted: &[String],
    unfinished: &[Unfinished],
) -> Result<()> {
    for migration in reverted {
        let shown = &migration.up.shown;
        if migration.down.is_none() {
            let wanted = shown.strip_suffix(".sql").unwrap_or(shown);
            return Err(refuse(format!(
                "{shown} has no down migration. Nothing was reverted."
            ))
            .hint(format!("Write {wanted}.down.sql"))
            .into());
        }
        if let Some(reason) = &migration.directives.irreversible
            && !accepted.contains(&format!("migration {}", migration.version))
        {
            return Err(refuse(format!(
                "{shown} is marked as irreversible: {reason}. Nothing was reverted."
            ))
            .hint(format!(
                "Restore a backup, or accept the data loss: --accept-loss \"migration {}\"",
                migration.version
            ))
            .into());
        }
        let mut faults = static_checks::check(migration, Direction::Down);
        faults.extend(static_checks::check_resumed(
            migration,
            Direction::Down,
            unfinished,
        ));
        if !faults.is_empty() {
            return Err(
                refuse("The down migration cannot run as written. Nothing was reverted.")
                    .findings(faults)
                    .into(),
            );
        }
    }
    Ok(())
}

/// Tests the down migrations on a shadow database; refuses differences that were not accepted by name.
async fn prove(
    args: &Args,
    context: &Context,
    session: &Session,
    files: &[Migration],
    applied: &[i64],
    chosen: &[i64],
) -> Result<Vec<Finding>> {
    let lowest = chosen.iter().min().copied().unwrap_or_default();
    let of = |keep: &dyn Fn(i64) -> bool| -> Vec<Migration> {
        files
            .iter()
            .filter(|file| applied.contains(&file.version) && keep(file.version))
            .cloned()
            .collect()
    };
    let (base, range) = (
        of(&|version| version < lowest),
        of(&|version| chosen.contains(&version)),
    );
    let watch = context.watch();
    let scratch = context.scratch(Some(session)).await?;
    let losses = rollback::prove(&scratch, &base, &range, &watch).await?;
    let (lost, notes): (Vec<_>, Vec<_>) = losses
        .into_iter()
        .filter(|finding| !args.accept_loss.contains(&finding.subject))
        .partition(|finding| finding.severity == Severity::Error);
    if lost.is_empty() {
        return Ok(notes);
    }
    let flags: Vec<String> = lost
        .iter()
        .map(|finding| format!("--accept-loss {:?}", finding.subject))
        .collect();
    Err(refuse(format!(
        "The down migration does not restore the previous schema ({}). Nothing was reverted.",
        count(lost.len(), "difference", "differences")
    ))
    .hint(format!(
        "Fix {}, or accept each difference: {}",
        down_files(&range),
        flags.join(" ")
    ))
    .findings(lost)
    .into())
}

/// Names the down files, for the hint.
fn down_files(range: &[Migration]) -> String {
    let files = range.iter().filter_map(|migration| migration.down.as_ref());
    let files: Vec<&str> = files.map(|down| down.shown.as_str()).collect();
    files.join(", ")
}

async fn ask(
    context: &Context,
    session: &Session,
    target: &crate::pg::target::Target,
    reverted: &[&Migration],
) -> Result<()> {
    let mut text = format!(
        "{} will be reverted:\n",
        count(reverted.len(), "migration", "migrations")
    );
    for migration in reverted {
        text.push_str(&format!("  {}\n", migration.up.shown));
    }
    text.push_str("Services built with these migrations will reapply them at start-up.\n");
    if gate::is_guarded(context)? {
        return gate::confirm(context, session, target, &text).await;
    }
    context.terminal.say_all(&text);
    context.confirm(&format!("Revert on {target}?"))
}

impl Report for DownReport {
    fn command(&self) -> &'static str {
        "down"
    }

    fn human(&self, page: &mut Page) {
        if self.reverted.is_empty() {
            page.line(format!("nothing to revert in {}", self.database));
            return;
        }
        let reverted = count(self.reverted.len(), "migration", "migrations");
        page.line(format!("reverted {reverted} in {}", self.database));
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
