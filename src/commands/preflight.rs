//! `af-db preflight`: looks whether a run could go well, without changing anything.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::Utc;
use serde::Serialize;

use crate::backup::identity::NamedDatabase;
use crate::catalog::{Catalog, read};
use crate::commands::change::gate::{self, Guard};
use crate::commands::page::{Page, Tone};
use crate::commands::{Context, Outcome, Purpose, Report, change::planning, project};
use crate::error::{Exit, with_exit};
use crate::finding::Finding;
use crate::migrate::{history, plan_history};
use crate::pg::process_group::{self, GroupEnd};
use crate::pg::program::Program;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::plan::document::PlanDocument;
use crate::plan::preflight::rights::{self, RequiredPrivileges};
use crate::plan::preflight::{self, PreflightResult, PreflightScope, PreflightState};
use crate::shadow::schema_clone;

/// Flags of `preflight`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Look at what this plan is about; at every governed table where nothing is said
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PreflightReport {
    database: String,
    checks: Vec<PreflightResult>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// How long a command of the project's own may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let plan = match &args.plan {
        Some(path) => {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(|| format!("reading {shown}"))?;
            Some(PlanDocument::parse(&shown, &text)?)
        }
        None => None,
    };
    let (session, target) = context.open(Purpose::Reading).await?;
    let live = read::read(&session, &schema_clone::scope())
        .await
        .context("reading the schema")?;
    let live = planning::governed(context, &live);
    let about = PreflightScope {
        relations: match &plan {
            Some(plan) => plan.relations(),
            None => planning::tables(&live),
        },
        schemas: context.config.schemas(),
    };
    let mut checks = vec![pooling(&session)];
    checks.extend(preflight::run(&session, &about).await?);
    checks.push(lacking(context, &session, plan.as_ref()).await?);
    checks.push(moved(context, &session, &live, plan.as_ref()).await?);
    checks.push(backup(context, &session)?);
    checks.extend(own(context, &target).await?);
    let findings = checks.iter().filter_map(PreflightResult::finding).collect();
    context.show(&PreflightReport {
        database: target.to_string(),
        checks,
        findings,
    })
}

fn pooling(session: &Session) -> PreflightResult {
    if session.server_info().is_proxied() {
        return PreflightResult::new(
            "pooler",
            PreflightState::Warning,
            "a pooler stands before the server; what changes it needs a session of its own",
        )
        .help("set direct-url of the environment to the server itself");
    }
    PreflightResult::new(
        "pooler",
        PreflightState::Ok,
        "the server is reached directly",
    )
}

/// Looks whether the role may do what the plan, or else what is pending, does.
async fn lacking(
    context: &Context,
    session: &Session,
    plan: Option<&PlanDocument>,
) -> Result<PreflightResult> {
    let folder = project::folder(context)?;
    let name = project::history_name(context)?;
    let read = async {
        let mut history = history::find(session, &name).await?;
        history.read(session).await?;
        anyhow::Ok(history)
    };
    let history = match read.await {
        Ok(history) => history,
        Err(error) if session.is_closed() => return Err(error),
        Err(error) => {
            return Ok(PreflightResult::new(
                "rights",
                PreflightState::CannotSee,
                format!("{error:#}"),
            )
            .help("let the role read the history and af_db.journal"));
        }
    };
    let planned = |version: i64| {
        plan.is_none_or(|plan| plan.steps.iter().any(|step| step.version == version))
    };
    let pending: Vec<&str> = folder
        .migrations
        .iter()
        .filter(|migration| planned(migration.version) && history.row(migration.version).is_none())
        .map(|migration| &*migration.up.text)
        .collect();
    let mut needs = RequiredPrivileges::of(pending.iter().copied());
    if !pending.is_empty() {
        // A run begins with its own record.
        needs.database |= !history.has_journal;
        if history.table == history::HistoryTable::Missing {
            let schema = history.name.schema.as_str().to_owned();
            needs.schemas.insert(schema);
        }
    }
    rights::check(session, &needs).await
}

/// Looks whether the schema is what the plan, or the last recorded run, left.
async fn moved(
    context: &Context,
    session: &Session,
    live: &Catalog,
    plan: Option<&PlanDocument>,
) -> Result<PreflightResult> {
    let found = live.fingerprint();
    if let Some(plan) = plan {
        return Ok(if plan.schema == found {
            PreflightResult::new(
                "drift",
                PreflightState::Ok,
                "the schema is what it was when the plan was made",
            )
        } else {
            PreflightResult::new(
                "drift",
                PreflightState::Warning,
                "the schema has moved since the plan was made",
            )
            .help("up --plan tells whether the plan still holds; af-db plan makes another")
        });
    }
    let recorded = match project::history_and_journal(context, session).await {
        Ok(records) => plan_history::schema(session, &records.history).await,
        Err(error) => Err(error),
    };
    Ok(match recorded {
        Err(error) if session.is_closed() => return Err(error),
        Err(error) => {
            PreflightResult::new("drift", PreflightState::CannotSee, format!("{error:#}"))
                .help("let the role read the history and af_db.journal")
        }
        Ok(recorded) => drift(recorded, &found),
    })
}

fn drift(recorded: Option<String>, found: &str) -> PreflightResult {
    match recorded {
        None => PreflightResult::new(
            "drift",
            PreflightState::CannotSee,
            "no run has recorded the schema it left",
        )
        .help("a run in a protected environment, or of a plan, records it"),
        Some(left) if left == *found => PreflightResult::new(
            "drift",
            PreflightState::Ok,
            "the schema is what the last run left",
        ),
        Some(_) => PreflightResult::new(
            "drift",
            PreflightState::Warning,
            "the schema was changed since the last run",
        )
        .help("af-db validate --live names what differs"),
    }
}

fn backup(context: &Context, session: &Session) -> Result<PreflightResult> {
    let guards = gate::guards(context)?;
    let wanted = guards.iter().find_map(|guard| match guard {
        Guard::VerifiedBackup(within) => Some(*within),
        Guard::ApprovedPlan | Guard::ProvenRls => None,
    });
    let newest = gate::newest_backup(context, &NamedDatabase::of(session))?;
    let help = "af-db backup makes one and reads it back";
    let Some(at) = newest else {
        let state = if wanted.is_some() {
            PreflightState::Blocking
        } else {
            PreflightState::Warning
        };
        return Ok(PreflightResult::new(
            "backup",
            state,
            "no proven backup of this database is known",
        )
        .help(help));
    };
    let age = (Utc::now() - at).to_std().unwrap_or_default();
    let words = format!(
        "the newest proven backup is of {}",
        at.format("%Y-%m-%d %H:%M UTC")
    );
    Ok(if wanted.is_some_and(|within| age > within) {
        PreflightResult::new("backup", PreflightState::Blocking, words).help(help)
    } else if age > Duration::from_secs(24 * 3600) {
        PreflightResult::new("backup", PreflightState::Warning, words).help(help)
    } else {
        PreflightResult::new("backup", PreflightState::Ok, words)
    })
}

/// Runs the project's own commands: 0 is well, 1 a warning, anything else blocks.
async fn own(context: &Context, target: &Target) -> Result<Vec<PreflightResult>> {
    let mut checks = Vec::new();
    for command in &context.config.file.preflight.commands {
        let tool = Program::new("sh")
            .args(["-c", command])
            .env("AF_DB_ENV", context.config.database.environment())
            .env("AF_DB_DATABASE", target.database())
            .env("PATH", context.config.env.get("PATH").unwrap_or_default())
            .directory(&context.config.root);
        let check = match process_group::run(&tool, PATIENCE, &context.interrupt).await {
            Ok(GroupEnd::Interrupted) => {
                return Err(with_exit(Exit::Interrupted, "interrupted").into());
            }
            Ok(GroupEnd::TimedOut) => PreflightResult::new(
                "command",
                PreflightState::Blocking,
                format!("`{command}` did not end within a minute"),
            ),
            Err(error) => PreflightResult::new(
                "command",
                PreflightState::CannotSee,
                format!("`{command}`: {error:#}"),
            ),
            Ok(GroupEnd::Finished(done)) => {
                let state = match done.status.code() {
                    Some(0) => PreflightState::Ok,
                    Some(1) => PreflightState::Warning,
                    _ => PreflightState::Blocking,
                };
                let said = done.text();
                let first = said.lines().chain(done.stderr.lines()).next();
                let words = first.unwrap_or("said nothing").to_owned();
                PreflightResult::new("command", state, format!("`{command}`: {words}"))
            }
        };
        checks.push(check);
    }
    Ok(checks)
}

impl Report for PreflightReport {
    fn command(&self) -> &'static str {
        "preflight"
    }

    fn human(&self, page: &mut Page) {
        page.line(format!("before a run on {}", self.database));
        page.gap();
        let mut rows = Vec::new();
        for check in &self.checks {
            let tone = match check.state {
                PreflightState::Ok => Tone::Good,
                PreflightState::Blocking => Tone::Bad,
                PreflightState::Warning | PreflightState::CannotSee => Tone::Warn,
            };
            for (line, seen) in check.seen.iter().enumerate() {
                let (name, state) = if line == 0 {
                    (check.name.as_str(), check.state.words())
                } else {
                    ("", "")
                };
                rows.push(vec![
                    (Tone::Plain, name.to_owned()),
                    (tone, state.to_owned()),
                    (Tone::Plain, seen.clone()),
                ]);
            }
        }
        page.table(&rows);
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
