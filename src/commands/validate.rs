//! `af-db validate`: the whole judgement in one pass: files, replay, ways down, manifest, policies, drift.

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::adopt::record;
use crate::catalog::{Catalog, Scope, read};
use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Purpose, Report, linting, policies, project};
use crate::diff::report::{self, Sides};
use crate::diff::{self};
use crate::event::Watch;
use crate::finding::{Finding, Severity};
use crate::manifest::{self, Manifest};
use crate::migrate::files::{Direction, Folder};
use crate::migrate::{judge, standing};
use crate::pg::scratch::Scratch;
use crate::pg::session::Session;
use crate::rls::declared;
use crate::shadow::{self, Shadow, rollback};

/// Flags of `validate`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Judge only what needs no server: files and their text
    #[arg(long, conflicts_with_all = ["shadow", "live"])]
    offline: bool,
    /// Judge on a scratch server, without the live database
    #[arg(long)]
    shadow: bool,
    /// Judge the live database: its history, and its schema against the migrations
    #[arg(long)]
    live: bool,
    /// Accept what the rules find now as legacy, in the file that lint.baseline names
    #[arg(long)]
    write_baseline: bool,
    /// Do not try the ways down
    #[arg(long)]
    skip_rollback: bool,
    /// Do not try to reach another tenant's rows
    #[arg(long)]
    skip_proof: bool,
}

/// One part of the judgement and how it ended.
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

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let mut report = ValidateReport {
        checks: Vec::new(),
        scratch: None,
        lint_fails: false,
        findings: Vec::new(),
    };
    report.add(
        "files",
        count(folder.migrations.len(), "migration", "migrations"),
        files(&folder),
    );
    let live = if args.offline {
        None
    } else {
        live(args, context).await?
    };
    let major = live
        .as_ref()
        .and_then(|session| u32::try_from(session.facts().major()).ok());
    let linted = linting::lint(context, &folder, major)?;
    if args.write_baseline {
        let path = linting::write_baseline(context, &linted.findings)?;
        context.terminal.say(&format!("wrote {path}"));
    }
    report.lint_fails = linted.fails;
    let words = format!(
        "{} found, {} allowed",
        linted.findings.len(),
        linted.allowed
    );
    report.add("lint", words, linted.findings);
    if args.offline {
        return context.show(&report);
    }
    if let Some(session) = &live {
        report.add(
            "history",
            "compared with the files",
            history(context, &folder, session).await?,
        );
    }
    let broken = report
        .checks
        .iter()
        .any(|check| check.name != "lint" && check.errors > 0);
    if broken {
        // A replay of files that cannot run would only say the same again, less well.
        return context.show(&report);
    }
    let scratch = context.scratch(live.as_ref()).await?;
    report.scratch = Some(scratch.why.clone());
    on_scratch(
        args,
        context,
        &folder,
        (&scratch, live.as_ref()),
        &mut report,
    )
    .await?;
    context.show(&report)
}

/// Judges what can be judged without a server.
fn files(folder: &Folder) -> Vec<Finding> {
    let mut findings = folder.findings.clone();
    for migration in &folder.migrations {
        findings.extend(judge::judge(migration, Direction::Up));
        if migration.down.is_some() {
            findings.extend(judge::judge(migration, Direction::Down));
        }
    }
    findings
}

/// Opens the live database when one is configured; the embedded one is nobody's production.
async fn live(args: &Args, context: &Context) -> Result<Option<Session>> {
    let configured = context.config.database.target.is_some();
    if args.shadow || !(configured || args.live) {
        return Ok(None);
    }
    Ok(Some(context.open(Purpose::Reading).await?.0))
}

async fn history(context: &Context, folder: &Folder, session: &Session) -> Result<Vec<Finding>> {
    let books = project::books(context, session).await?;
    let fresh = project::fresh_width(context, folder)?;
    // The folder's own faults have been told already.
    let folder = Folder {
        migrations: folder.migrations.clone(),
        findings: Vec::new(),
    };
    Ok(standing::compare(&folder, &books.history, &books.unfinished, fresh).findings)
}

async fn on_scratch(
    args: &Args,
    context: &Context,
    folder: &Folder,
    (scratch, live): (&Scratch, Option<&Session>),
    report: &mut ValidateReport,
) -> Result<()> {
    let watch = context.watch();
    let shadow = match shadow::build(scratch, "shadow", &folder.migrations, &watch).await {
        Ok(shadow) => shadow,
        Err(error) => {
            let finding = Finding::error("shadow-replay", "migrations", error.to_string());
            let hint = crate::error::hint_of(&error).map(str::to_owned);
            let finding = hint.map_or(finding.clone(), |hint| finding.help(hint));
            report.add("replay", "stopped", vec![finding]);
            return Ok(());
        }
    };
    let replayed = read::read(&shadow.session, &Scope::whole()).await?;
    report.add(
        "replay",
        format!(
            "{} on a scratch server",
            count(replayed.objects.len(), "object", "objects")
        ),
        Vec::new(),
    );
    if !args.skip_rollback {
        ways_down(folder, scratch, report, &watch).await?;
    }
    let manifest = manifest::read(
        &context.config.manifest(),
        &context.config.shown(&context.config.manifest()),
    )?;
    if !manifest.is_empty() {
        let schemas = context.config.schemas();
        let sides = (folder, &replayed.only(&schemas));
        judge_manifest(&manifest, scratch, sides, report, &watch).await?;
    }
    let set = context.config.policies();
    let declared = declared::read(&set, &context.config.shown(&set))?;
    if !declared.is_empty() {
        let compared = policies::compare(&shadow.session, &declared, &context.config).await?;
        let words = format!(
            "{} compared with the migrations",
            count(compared.policies, "policy", "policies")
        );
        report.add("policies", words, compared.findings);
    }
    if let Some(session) = live {
        drift(context, session, folder, &replayed, report).await?;
    }
    if !args.skip_proof {
        isolation(context, shadow, report).await?;
    }
    Ok(())
}

/// Tries to reach another tenant's rows on the shadow, which nobody needs any more.
async fn isolation(context: &Context, shadow: Shadow, report: &mut ValidateReport) -> Result<()> {
    shadow.session.close().await;
    let Some(proven) = policies::proven(context, &shadow.target).await? else {
        return Ok(());
    };
    report.add("isolation", proven.words(), proven.findings);
    Ok(())
}

async fn ways_down(
    folder: &Folder,
    scratch: &Scratch,
    report: &mut ValidateReport,
    watch: Watch<'_>,
) -> Result<()> {
    // From the newest down to the first that has no way back, or says that it has none.
    let walkable = |migration: &&crate::migrate::files::Migration| {
        migration.down.is_some() && migration.directives.irreversible.is_none()
    };
    let length = folder.migrations.iter().rev().take_while(walkable).count();
    let (base, range) = folder.migrations.split_at(folder.migrations.len() - length);
    if range.is_empty() {
        return Ok(());
    }
    let findings = rollback::prove(scratch, base, range, watch).await?;
    report.add(
        "ways down",
        format!("{} tried", count(length, "migration", "migrations")),
        findings,
    );
    Ok(())
}

async fn judge_manifest(
    manifest: &Manifest,
    scratch: &Scratch,
    (folder, replayed): (&Folder, &Catalog),
    report: &mut ValidateReport,
    watch: Watch<'_>,
) -> Result<()> {
    let database = shadow::prepare(scratch, "manifest", &folder.migrations).await?;
    let settled =
        manifest::settle::settle(manifest, &database.session, &Scope::whole(), watch).await?;
    let mut findings = settled.findings.clone();
    let declares_tables = manifest.tables().next().is_some();
    if findings.is_empty() && declares_tables {
        let pair = manifest::compare::comparable(manifest, &settled.catalog, replayed);
        let changes = diff::between(&pair.actual, &pair.declared);
        let sides = Sides {
            code: "manifest-differs",
            severity: Severity::Error,
            before: "the migrations",
            after: "the manifest",
        };
        findings.extend(
            report::findings(&changes, &sides)
                .into_iter()
                .map(|finding| placed(finding, &settled)),
        );
    }
    if let Some((file, rules)) = manifest.rules() {
        findings.extend(manifest::rules::check(
            rules,
            file,
            replayed,
            &settled.places,
        ));
    }
    report.add(
        "manifest",
        "settled and compared with the migrations",
        findings,
    );
    Ok(())
}

/// Says where in the manifest the object stands, or the table it is a part of.
fn placed(finding: Finding, settled: &manifest::settle::Settled) -> Finding {
    let words: Vec<&str> = finding.subject.split(' ').collect();
    let mut name = words.last().copied().unwrap_or_default();
    loop {
        if let Some(place) = settled.places.get(name) {
            return finding.clone().place(place.clone());
        }
        match name.rsplit_once('.') {
            Some((head, _)) => name = head,
            None => return finding,
        }
    }
}

async fn drift(
    context: &Context,
    session: &Session,
    folder: &Folder,
    replayed: &Catalog,
    report: &mut ValidateReport,
) -> Result<()> {
    let books = project::books(context, session).await?;
    let applied = books.history.rows.len();
    if applied != folder.migrations.len() {
        let words = format!(
            "not compared: {applied} of {} migrations are applied",
            folder.migrations.len()
        );
        report.add("drift", words, Vec::new());
        return Ok(());
    }
    let actual = read::read(session, &Scope::whole())
        .await
        .context("reading the live schema")?;
    // The history of a tool that ran here before is no part of what the migrations make.
    let histories = record::survey(session, None).await?;
    let actual = record::without(&actual, &histories);
    // Who owns things and in which order roles were made is the live server's own affair.
    let changes = diff::between(&replayed.without_owners(), &actual.without_owners());
    let sides = Sides {
        code: "drift",
        severity: Severity::Error,
        before: "the migrations",
        after: "the live database",
    };
    let mut findings = report::findings(&changes, &sides);
    for unseen in &actual.unseen {
        findings.push(Finding::warn(
            "drift-unseen",
            "the live database",
            unseen.clone(),
        ));
    }
    report.add(
        "drift",
        format!(
            "{} compared",
            count(actual.objects.len(), "object", "objects")
        ),
        findings,
    );
    Ok(())
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
                    (Tone::Bad, "wrong")
                } else {
                    (Tone::Good, "ok")
                };
                vec![
                    (tone, word.to_owned()),
                    (Tone::Plain, check.name.to_owned()),
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
