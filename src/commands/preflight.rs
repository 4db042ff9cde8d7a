//! `af-db preflight`: checks whether a migration can run safely; reads only.

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
    /// Check only the tables in this plan [default: all managed tables]
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
    let live = planning::managed(context, &live);
    let about = PreflightScope {
        relations: match &plan {
            Some(plan) => plan.relations(),
            None => planning::tables(&live),
        },
        schemas: context.config.schemas(),
    };
    let mut checks = vec![pooling(&session)];
    checks.extend(preflight::run(&session, &about).await?);
    checks.push(missing_privileges(context, &session, plan.as_ref()).await?);
    checks.push(schema_changed(context, &session, &live, plan.as_ref()).await?);
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
            "connected through a pooler; migrations need a direct connection",
        )
        .help("set direct-url of the environment to the server");
    }
    PreflightResult::new("pooler", PreflightState::Ok, "direct connection")
}

/// Checks whether the role has the privileges that the plan, or else the pending migrations, need.
async fn missing_privileges(
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
            .help("grant the role SELECT on the history table and af_db.journal"));
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

/// Checks whether the schema is the one that the plan was made for, or that the last run recorded.
async fn schema_changed(
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
                "the schema is unchanged since the plan was made",
            )
        } else {
            PreflightResult::new(
                "drift",
                PreflightState::Warning,
                "the schema has changed since the plan was made",
            )
            .help("up --plan checks whether the plan is still valid; af-db plan makes a new one")
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
                .help("grant the role SELECT on the history table and af_db.journal")
        }
        Ok(recorded) => drift(recorded, &found),
    })
}

fn drift(recorded: Option<String>, found: &str) -> PreflightResult {
    match recorded {
        None => PreflightResult::new(
            "drift",
            PreflightState::CannotSee,
            "no baseline schema recorded, drift cannot be checked",
        )
        .help("a run of a plan, or in a protected environment, records the schema"),
        Some(left) if left == *found => PreflightResult::new(
            "drift",
            PreflightState::Ok,
            "the schema is unchanged since the last run",
        ),
        Some(_) => PreflightResult::new(
            "drift",
            PreflightState::Warning,
            "the schema has changed since the last run",
        )
        .help("list the differences: af-db validate --live"),
    }
}

fn backup(context: &Context, session: &Session) -> Result<PreflightResult> {
    let guards = gate::guards(context)?;
    let wanted = guards.iter().find_map(|guard| match guard {
        Guard::VerifiedBackup(within) => Some(*within),
        Guard::ApprovedPlan | Guard::ProvenRls => None,
    });
    let newest = gate::newest_backup(context, &NamedDatabase::of(session))?;
    let help = "make one: af-db backup";
    let Some(at) = newest else {
        let state = if wanted.is_some() {
            PreflightState::Blocking
        } else {
            PreflightState::Warning
        };
        return Ok(PreflightResult::new(
            "backup",
            state,
            "no verified backup of this database found",
        )
        .help(help));
    };
    let age = (Utc::now() - at).to_std().unwrap_or_default();
    let words = format!(
        "the newest verified backup is from {}",
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

/// Runs the project's own commands: exit status 0 is OK, 1 a warning, anything else blocks.
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
                format!("`{command}` timed out after 60 s"),
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
                let words = first.unwrap_or("no output").to_owned();
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
        page.line(format!("preflight of {}", self.database));
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
