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
use crate::migrate::{history, planned};
use crate::pg::process_group::{self, GroupEnd};
use crate::pg::program::Program;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::plan::document::Document;
use crate::plan::preflight::rights::{self, Needs};
use crate::plan::preflight::{self, About, Check, State};
use crate::shadow::like;

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
    checks: Vec<Check>,
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
            Some(Document::parse(&shown, &text)?)
        }
        None => None,
    };
    let (session, target) = context.open(Purpose::Reading).await?;
    let live = read::read(&session, &like::scope())
        .await
        .context("reading the schema")?;
    let live = planning::governed(context, &live);
    let about = About {
        relations: match &plan {
            Some(plan) => plan.relations(),
            None => planning::tables(&live),
        },
        schemas: context.config.schemas(),
    };
    let mut checks = vec![pooling(&session)];
    checks.extend(preflight::look(&session, &about).await?);
    checks.push(lacking(context, &session, plan.as_ref()).await?);
    checks.push(moved(context, &session, &live, plan.as_ref()).await?);
    checks.push(backup(context, &session)?);
    checks.extend(own(context, &target).await?);
    let findings = checks.iter().filter_map(Check::finding).collect();
    context.show(&PreflightReport {
        database: target.to_string(),
        checks,
        findings,
    })
}

fn pooling(session: &Session) -> Check {
    if session.server_info().is_proxied() {
        return Check::new(
            "pooler",
            State::Warning,
            "a pooler stands before the server; what changes it needs a session of its own",
        )
        .help("set direct-url of the environment to the server itself");
    }
    Check::new("pooler", State::Ok, "the server is reached directly")
}

/// Looks whether the role may do what the plan, or else what is pending, does.
async fn lacking(context: &Context, session: &Session, plan: Option<&Document>) -> Result<Check> {
    let folder = project::folder(context)?;
    let name = project::history_name(context)?;
    let read = async {
        let mut history = history::look(session, &name).await?;
        history.read(session).await?;
        anyhow::Ok(history)
    };
    let history = match read.await {
        Ok(history) => history,
        Err(error) if session.is_closed() => return Err(error),
        Err(error) => {
            return Ok(Check::new("rights", State::CannotSee, format!("{error:#}"))
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
    let mut needs = Needs::of(pending.iter().copied());
    if !pending.is_empty() {
        // A run begins with its own record.
        needs.database |= !history.has_journal;
        if history.table == history::Table::Missing {
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
    plan: Option<&Document>,
) -> Result<Check> {
    let found = live.fingerprint();
    if let Some(plan) = plan {
        return Ok(if plan.schema == found {
            Check::new(
                "drift",
                State::Ok,
                "the schema is what it was when the plan was made",
            )
        } else {
            Check::new(
                "drift",
                State::Warning,
                "the schema has moved since the plan was made",
            )
            .help("up --plan tells whether the plan still holds; af-db plan makes another")
        });
    }
    let recorded = match project::history_and_journal(context, session).await {
        Ok(records) => planned::schema(session, &records.history).await,
        Err(error) => Err(error),
    };
    Ok(match recorded {
        Err(error) if session.is_closed() => return Err(error),
        Err(error) => Check::new("drift", State::CannotSee, format!("{error:#}"))
            .help("let the role read the history and af_db.journal"),
        Ok(recorded) => drift(recorded, &found),
    })
}

fn drift(recorded: Option<String>, found: &str) -> Check {
    match recorded {
        None => Check::new(
            "drift",
            State::CannotSee,
            "no run has recorded the schema it left",
        )
        .help("a run in a protected environment, or of a plan, records it"),
        Some(left) if left == *found => {
            Check::new("drift", State::Ok, "the schema is what the last run left")
        }
        Some(_) => Check::new(
            "drift",
            State::Warning,
            "the schema was changed since the last run",
        )
        .help("af-db validate --live names what differs"),
    }
}

fn backup(context: &Context, session: &Session) -> Result<Check> {
    let guards = gate::guards(context)?;
    let wanted = guards.iter().find_map(|guard| match guard {
        Guard::VerifiedBackup(within) => Some(*within),
        Guard::ApprovedPlan | Guard::ProvenRls => None,
    });
    let newest = gate::newest_backup(context, &NamedDatabase::of(session))?;
    let help = "af-db backup makes one and reads it back";
    let Some(at) = newest else {
        let state = if wanted.is_some() {
            State::Blocking
        } else {
            State::Warning
        };
        return Ok(Check::new(
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
        Check::new("backup", State::Blocking, words).help(help)
    } else if age > Duration::from_secs(24 * 3600) {
        Check::new("backup", State::Warning, words).help(help)
    } else {
        Check::new("backup", State::Ok, words)
    })
}

/// Runs the project's own commands: 0 is well, 1 a warning, anything else blocks.
async fn own(context: &Context, target: &Target) -> Result<Vec<Check>> {
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
            Ok(GroupEnd::TimedOut) => Check::new(
                "command",
                State::Blocking,
                format!("`{command}` did not end within a minute"),
            ),
            Err(error) => Check::new(
                "command",
                State::CannotSee,
                format!("`{command}`: {error:#}"),
            ),
            Ok(GroupEnd::Finished(done)) => {
                let state = match done.status.code() {
                    Some(0) => State::Ok,
                    Some(1) => State::Warning,
                    _ => State::Blocking,
                };
                let said = done.text();
                let first = said.lines().chain(done.stderr.lines()).next();
                let words = first.unwrap_or("said nothing").to_owned();
                Check::new("command", state, format!("`{command}`: {words}"))
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
                State::Ok => Tone::Good,
                State::Blocking => Tone::Bad,
                State::Warning | State::CannotSee => Tone::Warn,
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
