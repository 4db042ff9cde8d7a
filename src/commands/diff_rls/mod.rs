//! `af-db diff-rls`: compares the declared policies with a database and applies, writes or proves them.

mod apply;
mod prove;

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::commands::change::run::Budgets;
use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Purpose, Report, fleet, policies, project};
use crate::config::Config;
use crate::error::fail;
use crate::finding::Finding;
use crate::fleet::citus;
use crate::pg::session::Session;
use crate::pg::shadow_server::{self, ShadowServer};
use crate::rls::compare;
use crate::rls::declared::{self, Declared};
use crate::rls::fix_sql;
use crate::shadow;

/// Flags of `diff-rls`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Use a shadow database with the migrations replayed instead of an existing database
    #[arg(long)]
    shadow: bool,
    /// Apply the declared policies in one transaction
    #[arg(long, conflicts_with_all = ["shadow", "write_migration", "prove"])]
    apply: bool,
    /// Write the difference as a migration of this name, with its down migration
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "policies", conflicts_with = "prove")]
    write_migration: Option<String>,
    /// Wait at most this long for another run to finish, such as 30s
    #[arg(long, value_name = "TIME", default_value = "30s")]
    wait: String,
    #[command(flatten)]
    budgets: Budgets,
    /// Probe tenant isolation on a copy of the schema with test rows
    #[arg(long)]
    prove: bool,
    /// Read the tenancy from this file [default: policies/, else af-db.yaml]
    #[arg(long, value_name = "FILE")]
    tenancy: Option<PathBuf>,
    /// Read on the database itself, as two existing tenants, in a read-only transaction
    #[arg(long, requires = "prove", conflicts_with = "shadow")]
    live: bool,
    /// Number of random statement combinations to try after the fixed probes
    #[arg(long, value_name = "COUNT", default_value_t = 400, requires = "prove")]
    search: usize,
    /// Random seed, for reproducible runs
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "prove")]
    seed: u64,
    /// Compare every database of this fleet (with --prove --live: probe each one)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shadow", "apply", "write_migration", "html", "markdown"])]
    fleet: Option<PathBuf>,
    /// Also write the proof as an HTML page
    #[arg(long, value_name = "FILE", requires = "prove")]
    html: Option<PathBuf>,
    /// Also write the proof as Markdown
    #[arg(long, value_name = "FILE", requires = "prove")]
    markdown: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DiffReport {
    database: String,
    tables: usize,
    policies: usize,
    /// The statements that apply the declared policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statements: Vec<String>,
    applied: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    written: Vec<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.fleet {
        None => one(args, context).await,
        Some(_) if args.prove && !args.live => Err(fail(
            "--prove cannot run on each database of a fleet; nothing was done",
        )
        .hint("prove the migrations once with --prove --shadow, or probe each database with --prove --live")
        .into()),
        Some(path) => {
            // Once, before any confirmation: errors in the declarations do not depend on the database.
            if !args.prove {
                declared(&context.config)?;
            }
            let work = async |there: &Context| one(args, there).await;
            let each = fleet::MemberCommand {
                command: "diff-rls",
                line: |_| None,
                whole: false,
            };
            fleet::on_each(context, path, &each, work).await
        }
    }
}

async fn one(args: &Args, context: &Context) -> Result<Outcome> {
    if args.prove {
        return prove::prove(args, context).await;
    }
    let declared = declared(&context.config)?;
    if args.apply {
        return apply::apply(args, &declared, context).await;
    }
    let place = open(args.shadow, context).await?;
    let comparison = policies::compare(&place.session, &declared, &context.config).await?;
    let mut report = report(&place.name, comparison.findings, &comparison.up);
    if let Some(judged) = citus::check(&place.session, &[], &[]).await? {
        // What a table's own policies say is worth nothing where its shards have others.
        report.findings.extend(judged.findings);
    }
    report.tables = comparison.tables;
    report.policies = comparison.policies;
    if let Some(name) = &args.write_migration {
        let pair = (
            fix_sql::script(&comparison.up),
            fix_sql::script(&comparison.down),
        );
        report.written = write(context, name, &report.findings, &pair)?;
    }
    context.show(&report)
}

fn declared(config: &Config) -> Result<Declared> {
    let folder = config.policies();
    let declared = declared::read(&folder, &config.shown(&folder))?;
    if declared.is_empty() {
        let shown = config.shown(&folder);
        return Err(fail(format!("no policies are declared in {shown}/"))
            .hint(
                "write policies/*.yaml, or probe the existing policies with --prove --tenancy FILE",
            )
            .into());
    }
    Ok(declared)
}

/// What is compared with.
struct Opened {
    session: Session,
    name: String,
    // Kept until the session is done with.
    _scratch: Option<ShadowServer>,
}

async fn open(shadow: bool, context: &Context) -> Result<Opened> {
    if !shadow {
        let (session, target) = context.open(Purpose::Reading).await?;
        return Ok(Opened {
            session,
            name: target.to_string(),
            _scratch: None,
        });
    }
    let folder = project::folder(context)?;
    let watch = context.watch();
    let options = context.config.embedded(None)?;
    let scratch = shadow_server::start(&options, &watch).await?;
    let shadow = shadow::build(&scratch, "shadow", &folder.migrations, &watch).await?;
    Ok(Opened {
        session: shadow.session,
        name: format!("the migrations, replayed on {}", scratch.why),
        _scratch: Some(scratch),
    })
}

fn report(
    database: &str,
    findings: Vec<Finding>,
    statements: &[crate::sql::safe::Sql],
) -> DiffReport {
    DiffReport {
        database: database.to_owned(),
        tables: 0,
        policies: 0,
        statements: statements
            .iter()
            .map(|sql| sql.as_str().to_owned())
            .collect(),
        applied: false,
        written: Vec::new(),
        findings,
    }
}

/// Refuses to write what the declarations do not clearly say.
fn refuse_unclear(findings: &[Finding]) -> Result<()> {
    let unclear: Vec<Finding> = findings
        .iter()
        .filter(|finding| finding.code == compare::DECLARED)
        .cloned()
        .collect();
    if unclear.is_empty() {
        return Ok(());
    }
    let faults = count(unclear.len(), "error", "errors");
    Err(crate::error::refuse(format!(
        "{faults} in the declared policies; nothing was changed"
    ))
    .findings(unclear)
    .into())
}

fn write(
    context: &Context,
    name: &str,
    findings: &[Finding],
    (up, down): &(String, String),
) -> Result<Vec<String>> {
    use crate::migrate::new_migration;
    refuse_unclear(findings)?;
    if up.is_empty() {
        return Ok(Vec::new());
    }
    let folder = project::folder(context)?;
    let name = new_migration::file_name(name)?;
    let version = new_migration::next_version(&folder.migrations, project::timestamp());
    let head = "-- Written by af-db diff-rls from policies/.\n";
    let pair = (format!("{head}{up}"), format!("{head}{down}"));
    let pair = new_migration::pair(
        &context.config.migrations(),
        version,
        &name,
        &pair.0,
        &pair.1,
    )?;
    Ok([pair.up, pair.down]
        .iter()
        .map(|path| context.config.shown(path))
        .collect())
}

impl Report for DiffReport {
    fn command(&self) -> &'static str {
        "diff-rls"
    }

    fn human(&self, page: &mut Page) {
        let database = &self.database;
        let covered = format!(
            "{}, {} checked",
            count(self.tables, "table", "tables"),
            count(self.policies, "policy", "policies")
        );
        if self.applied {
            let statements = count(self.statements.len(), "statement", "statements");
            page.toned(
                Tone::Good,
                format!("{statements} applied; {database} matches policies/"),
            );
        } else if self.findings.is_empty() {
            page.toned(
                Tone::Good,
                format!("{database} matches policies/ ({covered})"),
            );
        } else {
            page.line(format!("{database} does not match policies/ ({covered})"));
        }
        for path in &self.written {
            page.line(path);
        }
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(&self.findings, crate::finding::Severity::Error)
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
