//! `af-db diff-rls`: declared policies against a database: what differs, who gains or loses what, what mends it.

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
    /// Compare with, or prove, the migrations replayed on a scratch server, without any database
    #[arg(long)]
    shadow: bool,
    /// Make the database what is declared, in one transaction
    #[arg(long, conflicts_with_all = ["shadow", "write_migration", "prove"])]
    apply: bool,
    /// Write the difference as a pair of migration files of this name
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "policies", conflicts_with = "prove")]
    write_migration: Option<String>,
    /// Wait at most this long for another run to finish, such as 30s
    #[arg(long, value_name = "TIME", default_value = "30s")]
    wait: String,
    #[command(flatten)]
    budgets: Budgets,
    /// Try on a scratch copy of the schema to reach another tenant's rows
    #[arg(long)]
    prove: bool,
    /// Read from this file how tenants are told apart and how a request says who it is; the policy set says it otherwise
    #[arg(long, value_name = "FILE")]
    tenancy: Option<PathBuf>,
    /// Read on the database itself, as two tenants that are there, in a read-only transaction that is rolled back
    #[arg(long, requires = "prove", conflicts_with = "shadow")]
    live: bool,
    /// Try this many drawn combinations of statements beyond the fixed list
    #[arg(long, value_name = "COUNT", default_value_t = 400, requires = "prove")]
    search: usize,
    /// Draw them with this number: the same number draws the same
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "prove")]
    seed: u64,
    /// Compare every database of this fleet, or with --prove --live read as two tenants on each
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shadow", "apply", "write_migration", "html", "markdown"])]
    fleet: Option<PathBuf>,
    /// Write the proof as one HTML page as well
    #[arg(long, value_name = "FILE", requires = "prove")]
    html: Option<PathBuf>,
    /// Write the proof as Markdown as well
    #[arg(long, value_name = "FILE", requires = "prove")]
    markdown: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DiffReport {
    database: String,
    tables: usize,
    policies: usize,
    /// What makes the database what is declared.
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
            "a fleet is not proven one database after the other; nothing was done",
        )
        .hint("prove the migrations once, with --prove --shadow, or read on each database with --prove --live")
        .into()),
        Some(path) => {
            // Once, before anybody is asked: what is wrong with the declarations is wrong with none of the databases.
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
            .hint("write policies/*.yaml, or give --prove --tenancy FILE to try what there is")
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
    let faults = count(unclear.len(), "fault stands", "faults stand");
    Err(
        crate::error::refuse(format!("{faults} in the declarations, nothing was changed"))
            .findings(unclear)
            .into(),
    )
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
            "{} with {}",
            count(self.tables, "table", "tables"),
            count(self.policies, "policy", "policies")
        );
        if self.applied {
            let statements = count(self.statements.len(), "statement", "statements");
            page.toned(
                Tone::Good,
                format!("{statements} applied to {database}: it is what is declared"),
            );
        } else if self.findings.is_empty() {
            page.toned(
                Tone::Good,
                format!("{database} is what is declared: {covered}"),
            );
        } else {
            page.line(format!("{database} is not what is declared: {covered}"));
        }
        for path in &self.written {
            page.line(path);
        }
    }

    fn outcome(&self) -> Outcome {
        if self.applied {
            return Outcome::Clean;
        }
        Outcome::of(&self.findings, crate::finding::Severity::Error)
    }

    fn findings(&self) -> &[Finding] {
        if self.applied { &[] } else { &self.findings }
    }
}
