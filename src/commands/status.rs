//! `af-db status`: the migrations that are applied, pending, modified, missing, out of order or partially applied.

use anyhow::Result;
use serde::Serialize;

use crate::backup::restore::leftovers;
use crate::commands::page::{Page, Tone, count};
use crate::commands::{
    Context, Outcome, Purpose, Report, archives, change::verify, fleet, project,
};
use crate::finding::{Finding, Location, Severity};
use crate::migrate::status::{MigrationState, MigrationStatus};
use crate::sql::name::Ident;

/// Flags of `status`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Exit 1 if a migration is pending or a finding is a warning or an error
    #[arg(long)]
    check: bool,
    /// Check whether the adopted tool has run since
    #[arg(long)]
    foreign: bool,
    /// Show every database of this fleet
    #[arg(long, value_name = "FILE", conflicts_with = "foreign")]
    fleet: Option<std::path::PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct StatusReport {
    database: String,
    environment: String,
    server: String,
    applied: usize,
    pending: usize,
    migrations: Vec<MigrationStatus>,
    #[serde(skip)]
    findings: Vec<Finding>,
    #[serde(skip)]
    outcome: Outcome,
    /// Whether pending migrations are findings.
    #[serde(skip)]
    check: bool,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    if let Some(path) = &args.fleet {
        return fleet::status(context, path, args.check).await;
    }
    let folder = project::folder(context)?;
    let (session, target) = context.open(Purpose::Reading).await?;
    // Sent together, to wait for the server once.
    let (records, left, interrupted, kept) = futures_util::future::join4(
        project::history_and_journal(context, &session),
        verify::reindex_leftovers(&session),
        leftovers::list(&session),
        leftovers::kept_databases(&session),
    )
    .await;
    let records = records?;
    let mut standing = project::migration_status(context, &folder, &records)?;
    if args.foreign {
        standing
            .findings
            .extend(project::foreign(&session, &records).await?);
    }
    standing.findings.extend(left?);
    standing.findings.extend(interrupted?.iter().map(|name| {
        let message = "incomplete database of an interrupted restore";
        Finding::note("interrupted-restore", name, message)
            .help("Drop it, or let the next restore on this server remove it")
    }));
    let kept = kept?;
    let ours = kept
        .iter()
        .filter(|one| one.was(&session.server_info().database));
    standing.findings.extend(ours.map(|one| {
        let message = format!(
            "previous version of this database, kept by a restore ({})",
            archives::size_and_age(one)
        );
        Finding::note("replaced-database", &one.name, message).help(format!(
            "When no longer needed: DROP DATABASE {}",
            Ident::new(&one.name)
        ))
    }));
    let wrong = Outcome::of(&standing.findings, Severity::Warn) == Outcome::Found;
    let pending = standing.pending.len() + standing.out_of_order.len();
    let outcome = if args.check && (wrong || pending > 0) {
        Outcome::Found
    } else {
        Outcome::Clean
    };
    context.show(&StatusReport {
        database: target.to_string(),
        environment: context.config.database.environment().to_owned(),
        server: session.server_info().version.clone(),
        applied: records.history.rows.len(),
        pending,
        migrations: standing.lines,
        findings: standing.findings,
        outcome,
        check: args.check,
    })
}

impl Report for StatusReport {
    fn command(&self) -> &'static str {
        "status"
    }

    fn human(&self, page: &mut Page) {
        page.line(format!(
            "{} ({}, PostgreSQL {})",
            self.database, self.environment, self.server
        ));
        page.gap();
        if self.migrations.is_empty() {
            page.line("no migrations; create the first with af-db new NAME");
            return;
        }
        let rows: Vec<_> = self.migrations.iter().map(row).collect();
        page.table(&rows);
        page.gap();
        let applied = count(
            self.applied,
            "migration is applied",
            "migrations are applied",
        );
        page.line(format!("{applied}, {} pending", self.pending));
    }

    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn annotations(&self) -> Vec<Finding> {
        let pending = self
            .migrations
            .iter()
            .filter(|line| self.check && line.state == MigrationState::Pending)
            .map(|line| {
                let subject = line.file.as_deref().unwrap_or(&line.name);
                let words = format!("not applied to {}", self.database);
                Finding::warn("pending", subject, words).place(Location::file(subject))
            });
        self.findings.iter().cloned().chain(pending).collect()
    }
}

fn row(line: &MigrationStatus) -> Vec<(Tone, String)> {
    let (tone, word) = match line.state {
        MigrationState::Applied => (Tone::Good, "applied"),
        MigrationState::Pending => (Tone::Warn, "pending"),
        MigrationState::Modified => (Tone::Bad, "modified"),
        MigrationState::LineEndings => (Tone::Warn, "line endings"),
        MigrationState::MissingFile => (Tone::Bad, "file missing"),
        MigrationState::NotInCheckout => (Tone::Bad, "not in this checkout"),
        MigrationState::OutOfOrder => (Tone::Bad, "out of order"),
        MigrationState::PartiallyApplied => (Tone::Bad, "partially applied"),
        MigrationState::PartiallyReverted => (Tone::Bad, "partially reverted"),
    };
    let when = line.applied_on.as_deref().unwrap_or_default();
    vec![
        (Tone::Plain, format!("{:>4}", line.version)),
        (tone, word.to_owned()),
        (Tone::Plain, line.name.clone()),
        (Tone::Dim, when.get(..19).unwrap_or(when).replace('T', " ")),
    ]
}
