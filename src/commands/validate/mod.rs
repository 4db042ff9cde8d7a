//! `af-db validate`: runs all checks: files, lint, replay, down migrations, manifest, policies, drift.

mod drift;
mod on_shadow;

use anyhow::Result;
use serde::Serialize;

use crate::catalog::Scope;
use crate::commands::page::{Page, Tone, count};
use crate::commands::project::HistoryAndJournal;
use crate::commands::{Context, Outcome, Purpose, Report, embedded, fleet, project, project_lint};
use crate::finding::{Finding, Location, Severity};
use crate::fleet::citus;
use crate::manifest::{self, Manifest};
use crate::migrate::files::{Direction, Migration, MigrationFolder};
use crate::migrate::static_checks;
use crate::pg::dev;
use crate::pg::session::Session;
use crate::rls::declared::{self, Declared};

/// Flags of `validate`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Check only the files, without a server
    #[arg(long, conflicts_with_all = ["shadow", "live"])]
    offline: bool,
    /// Check on a shadow server, without the live database
    #[arg(long)]
    shadow: bool,
    /// Check also the history and the schema of the live database
    #[arg(long)]
    live: bool,
    /// Check every database of this fleet
    #[arg(long, value_name = "FILE", conflicts_with_all = ["offline", "shadow", "live"])]
    fleet: Option<std::path::PathBuf>,
    /// Lint only files changed since the merge base with this branch, such as origin/main
    #[arg(long, value_name = "BRANCH")]
    git_base: Option<String>,
    /// Write current findings to the baseline file; an existing baseline can only shrink
    #[arg(long, conflicts_with = "git_base")]
    write_baseline: bool,
    /// Exit 1 on findings of at least this severity [default: lint.fail-on]
    #[arg(long, value_name = "SEVERITY", value_parser = ["error", "warn", "never"])]
    fail_on: Option<String>,
    /// Treat objects that cannot be compared (unsupported or not visible) as errors
    #[arg(long)]
    strict: bool,
    /// Skip the test of down migrations
    #[arg(long)]
    skip_rollback: bool,
    /// Skip the tenant isolation probes
    #[arg(long)]
    skip_proof: bool,
}

/// One check and its result.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Check {
    name: &'static str,
    result: String,
    errors: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ValidateReport {
    checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scratch: Option<String>,
    #[serde(skip)]
    lint_fails: bool,
    #[serde(skip)]
    findings: Vec<Finding>,
}

impl ValidateReport {
    fn add(&mut self, name: &'static str, result: impl Into<String>, findings: Vec<Finding>) {
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count();
        self.checks.push(Check {
            name,
            result: result.into(),
            errors,
        });
        self.findings.extend(findings);
    }
}

/// The files of the project and, where it is checked, the live database.
struct ValidationInputs {
    folder: MigrationFolder,
    manifest: Manifest,
    declared: Declared,
    live: Option<LiveDatabase>,
}

/// The live database with its history and journal.
struct LiveDatabase {
    session: Session,
    records: HistoryAndJournal,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let mut report = ValidateReport {
        checks: Vec::new(),
        scratch: None,
        lint_fails: false,
        findings: Vec::new(),
    };
    let mut inputs = gather(args, context, &mut report).await?;
    lint(args, context, &inputs, &mut report).await?;
    if args.offline {
        return context.show(&report);
    }
    if let Some(live) = &inputs.live {
        let findings = history(context, &inputs.folder, &live.records)?;
        report.add("history", "compared with the files", findings);
        let is_pending = |file: &&Migration| live.records.history.row(file.version).is_none();
        let files = inputs.folder.migrations.iter();
        let pending: Vec<&Migration> = files.filter(is_pending).collect();
        let schemas = context.config.schemas();
        if let Some(verdict) = citus::check(&live.session, &schemas, &pending).await? {
            report.add("citus", verdict.words, verdict.findings);
        }
    }
    let broken = report
        .checks
        .iter()
        .any(|check| !matches!(check.name, "lint" | "citus") && check.errors > 0);
    if broken {
        // A replay would only fail at the same errors, with less precise messages.
        return context.show(&report);
    }
    let session = inputs.live.as_ref().map(|live| &live.session);
    let scratch = context.scratch(session).await?;
    report.scratch = Some(scratch.why.clone());
    let own = inputs.folder.clone();
    if let Some(path) = &args.fleet {
        // Migrations of tenants depend on the shared ones.
        let shared = fleet::shared_files(context, path).await?;
        inputs.folder.migrations.splice(..0, shared);
    }
    on_shadow::check(args, context, &inputs, &scratch, &mut report).await?;
    drop(scratch);
    if let Some(path) = &args.fleet {
        let verdict = fleet::verdict(context, path, &own).await?;
        report.add("fleet", verdict.words, verdict.findings);
    }
    context.show(&report)
}

/// Reads everything to check once; files that cannot be read are findings.
async fn gather(
    args: &Args,
    context: &Context,
    report: &mut ValidateReport,
) -> Result<ValidationInputs> {
    let config = &context.config;
    let folder = project::folder(context)?;
    let words = count(folder.migrations.len(), "migration", "migrations");
    let mut findings = files(&folder);
    let (path, set) = (config.manifest(), config.policies());
    let shown = config.shown(&path);
    let manifest = manifest::read(&path, &shown)
        .unwrap_or_else(|error| unreadable("manifest-unreadable", &shown, &error, &mut findings));
    let shown = config.shown(&set);
    let declared = declared::read(&set, &shown)
        .unwrap_or_else(|error| unreadable("policies-unreadable", &shown, &error, &mut findings));
    report.add("files", words, findings);
    Ok(ValidationInputs {
        folder,
        manifest,
        declared,
        live: live(args, context).await?,
    })
}

/// The scope of a comparison with grants: all user objects and role attributes.
fn with_roles() -> Scope {
    Scope {
        roles: true,
        ..Scope::whole()
    }
}

/// A finding for a directory that could not be read, at the location that the message begins with.
fn unreadable<T: Default>(
    code: &str,
    shown: &str,
    error: &anyhow::Error,
    findings: &mut Vec<Finding>,
) -> T {
    let text = format!("{error:#}");
    let parts: Vec<&str> = text.splitn(4, ':').collect();
    let finding = match parts[..] {
        [file, line, column, message] if line.parse::<u32>().is_ok() => {
            let (line, column) = (line.parse().unwrap_or(1), column.parse().unwrap_or(1));
            Finding::error(code, file, message.trim()).place(Location::at(file, line, column))
        }
        _ => Finding::error(code, shown, text),
    };
    findings.push(match crate::error::hint_of(error) {
        Some(hint) => finding.help(hint),
        None => finding,
    });
    T::default()
}

async fn lint(
    args: &Args,
    context: &Context,
    inputs: &ValidationInputs,
    report: &mut ValidateReport,
) -> Result<()> {
    let live = inputs.live.as_ref();
    let major = live.and_then(|live| u32::try_from(live.session.server_info().major()).ok());
    let changed = match &args.git_base {
        Some(base) => Some(project_lint::changed(context, base).await?),
        None => None,
    };
    let linted = project_lint::lint(
        context,
        &inputs.folder,
        project_lint::LintRequest {
            major,
            changed: changed.as_ref(),
            writing: args.write_baseline,
        },
    )?;
    if args.write_baseline {
        let path = project_lint::write_baseline(context, &linted.all)?;
        context.terminal.say(&format!("wrote {path}"));
    }
    report.lint_fails = match &args.fail_on {
        Some(word) => project_lint::reaches(Some(word), &linted.findings)?,
        None => linted.fails,
    };
    let words = format!(
        "{} found, {} allowed",
        linted.findings.len(),
        linted.allowed
    );
    report.add("lint", words, linted.findings);
    Ok(())
}

/// The checks of the migration files that need no server.
fn files(folder: &MigrationFolder) -> Vec<Finding> {
    let mut findings = folder.findings.clone();
    for migration in &folder.migrations {
        findings.extend(static_checks::check(migration, Direction::Up));
        if migration.down.is_some() {
            findings.extend(static_checks::check(migration, Direction::Down));
        }
    }
    findings
}

/// Opens the live database if one is configured, or the local server if it is running.
async fn live(args: &Args, context: &Context) -> Result<Option<LiveDatabase>> {
    if args.offline || args.shadow || args.fleet.is_some() {
        return Ok(None);
    }
    let configured = context.config.database.target.is_some();
    // A running local server is checked, but not started for this.
    if !(configured || args.live || dev::status(&embedded::place(context))?.is_some()) {
        return Ok(None);
    }
    let session = context.open(Purpose::Reading).await?.0;
    let records = project::history_and_journal(context, &session).await?;
    Ok(Some(LiveDatabase { session, records }))
}

fn history(
    context: &Context,
    folder: &MigrationFolder,
    records: &HistoryAndJournal,
) -> Result<Vec<Finding>> {
    // Findings of the files are already part of the report.
    let folder = MigrationFolder {
        migrations: folder.migrations.clone(),
        findings: Vec::new(),
    };
    Ok(project::migration_status(context, &folder, records)?.findings)
}

/// The name of a check for people; scripts know the old one.
fn shown_name(name: &str) -> &str {
    match name {
        "ways down" => "down migrations",
        name => name,
    }
}

impl Report for ValidateReport {
    fn command(&self) -> &'static str {
        "validate"
    }

    fn human(&self, page: &mut Page) {
        let rows: Vec<_> = self
            .checks
            .iter()
            .map(|check| {
                let (tone, word) = if check.errors > 0 {
                    (Tone::Bad, "failed")
                } else {
                    (Tone::Good, "ok")
                };
                vec![
                    (tone, word.to_owned()),
                    (Tone::Plain, shown_name(check.name).to_owned()),
                    (Tone::Dim, check.result.clone()),
                ]
            })
            .collect();
        page.table(&rows);
    }

    fn outcome(&self) -> Outcome {
        let wrong = self
            .checks
            .iter()
            .any(|check| check.name != "lint" && check.errors > 0);
        if wrong || self.lint_fails {
            Outcome::Found
        } else {
            Outcome::Clean
        }
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
