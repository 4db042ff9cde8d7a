//! `af-db plan`: previews what `up` would run; `up --plan` runs exactly the saved plan.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::commands::change::planning::{self, PlanInputs, PreparedPlan};
use crate::commands::change::select::{self, Selection};
use crate::commands::format::markdown::block;
use crate::commands::page::{Page, Tone, count};
use crate::commands::{
    Context, Outcome, Purpose, Report, change::data_loss, fleet, project, project_lint,
};
use crate::error::fail;
use crate::finding::{Finding, Location, Severity};
use crate::plan::Mode;
use crate::plan::approval::Quorum;
use crate::plan::document::{PlanDocument, PlannedDown, PlannedMigration};
use crate::plan::observe::impact::{Impact, ImpactKind};
use crate::visible;

/// Flags of `plan`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Save the plan to this file, for up --plan
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit 1 on findings of at least this severity [default: lint.fail-on]
    #[arg(long, value_name = "SEVERITY", value_parser = ["error", "warn", "never"], conflicts_with = "fleet")]
    fail_on: Option<String>,
    /// Plan for every database of this fleet, once for each distinct state
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PlanReport {
    database: String,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    plan: PlanDocument,
    weights: Vec<Impact>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cleared: Vec<Finding>,
    #[serde(skip)]
    approved: bool,
    /// How many approvers must sign it.
    #[serde(skip)]
    approvals: usize,
    #[serde(skip)]
    diagram: Option<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
    #[serde(skip)]
    outcome: Outcome,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    if let Some(path) = &args.fleet {
        return fleet::plan(context, path, &args.selection, args.out.as_deref()).await;
    }
    args.out.as_deref().map_or(Ok(()), refuse_unwritable)?;
    let folder = project::folder(context)?;
    let (session, target) = context.open(Purpose::Reading).await?;
    let records = project::history_and_journal(context, &session).await?;
    let standing = project::migration_status(context, &folder, &records)?;
    let (chosen, _) = select::choose(&args.selection, &folder.migrations, &standing)?;
    let noted = select::obstacles(&args.selection, &standing, &chosen, &records.unfinished)?;
    for finding in noted {
        let line = format!("{}: {}", finding.subject, finding.message);
        context.terminal.say(&line);
    }
    let made = planning::make(
        context,
        PlanInputs {
            folder: &folder,
            session: &session,
            records: &records,
            chosen: &chosen,
        },
    )
    .await?;
    let PreparedPlan {
        document,
        text,
        sha256,
        fails,
        weights,
        cleared,
        diagram,
        ..
    } = made;
    let mut findings = document.findings.clone();
    findings.extend(
        weights
            .iter()
            .filter_map(|weight| impact_finding(weight, &document)),
    );
    let file = match &args.out {
        Some(path) => {
            let shown = path.display().to_string();
            std::fs::write(path, &text).with_context(|| format!("writing {shown}"))?;
            Some(shown)
        }
        None => None,
    };
    let fails = match &args.fail_on {
        Some(word) => project_lint::reaches(Some(word), &findings)?,
        None => fails,
    };
    let rules = context.config.database.rules();
    context.show(&PlanReport {
        database: target.to_string(),
        sha256,
        file,
        plan: document,
        weights,
        cleared,
        diagram,
        findings,
        approved: context.config.database.is_protected(),
        approvals: Quorum::read(&rules.approvers, rules.approvals)?.needed,
        outcome: if fails {
            Outcome::Found
        } else {
            Outcome::Clean
        },
    })
}

/// Refuses an --out file that cannot be written, before any work is done.
fn refuse_unwritable(path: &Path) -> Result<()> {
    if path.is_dir() {
        let file = path.join("plan.json");
        let why = format!(
            "--out {} is a directory. Nothing was planned.",
            path.display()
        );
        let hint = format!("Name a file: --out {}", file.display());
        return Err(fail(why).hint(hint).into());
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            let folder = folder.display();
            let why =
                format!("the directory {folder} of --out does not exist. Nothing was planned.");
            Err(fail(why)
                .hint(format!("Create it first: mkdir -p {folder}"))
                .into())
        }
        _ => Ok(()),
    }
}

impl Report for PlanReport {
    fn command(&self) -> &'static str {
        "plan"
    }

    fn human(&self, page: &mut Page) {
        let plan = &self.plan;
        let database = &self.database;
        if plan.steps.is_empty() {
            page.line(format!("nothing to apply, {database} is up to date"));
            return;
        }
        let migrations = count(plan.steps.len(), "migration", "migrations");
        let statements = count(plan.statements(), "statement", "statements");
        let head = match plan.history.version {
            Some(version) => format!("now at {version}"),
            None => "nothing applied yet".to_owned(),
        };
        page.line(format!(
            "plan for {} on {database}: {migrations}, {statements}; {head}",
            plan.environment
        ));
        for (number, step) in plan.steps.iter().enumerate() {
            page.gap();
            let weights: Vec<&Impact> = self
                .weights
                .iter()
                .filter(|weight| weight.step == number)
                .collect();
            step_lines(page, number + 1, step, &weights);
        }
        page.gap();
        loss_lines(page, plan);
        code_line(page, plan);
        for finding in &self.cleared {
            let (code, subject) = (&finding.code, &finding.subject);
            page.toned(
                Tone::Dim,
                format!("{code} {subject}: not confirmed on the shadow database, ignored"),
            );
        }
        page.line(format!(
            "lock timeout {}, retried for up to {}",
            time(plan.lock_timeout_ms),
            time(plan.lock_budget_ms)
        ));
        page.line(format!("schema before     {}", plan.schema));
        match &plan.schema_after {
            Some(after) => page.line(format!("schema after      {after}")),
            None => page.toned(
                Tone::Warn,
                "the schema after the run could not be predicted",
            ),
        }
        page.line(format!("plan              {}", self.sha256));
        self.next(page);
    }

    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn markdown(&self) -> String {
        let plan = &self.plan;
        if plan.steps.is_empty() {
            return "Nothing to apply.\n".to_owned();
        }
        let mut text = format!(
            "**plan** `{}` for **{}**: {}, {}\n",
            self.sha256,
            plan.environment,
            count(plan.steps.len(), "migration", "migrations"),
            count(plan.statements(), "statement", "statements")
        );
        for loss in &plan.losses {
            text.push_str(&format!(
                "\n- data lost: `{}`",
                visible::line(loss).replace('`', "'")
            ));
        }
        for table in data_loss::deleted(plan) {
            text.push_str(&format!(
                "\n- rows may be deleted: {}",
                visible::line(&table).replace('`', "'")
            ));
        }
        for (number, step) in plan.steps.iter().enumerate() {
            let mut page = Page::new(false);
            let weights: Vec<&Impact> = self
                .weights
                .iter()
                .filter(|weight| weight.step == number)
                .collect();
            step_lines(&mut page, number + 1, step, &weights);
            text.push_str(&format!(
                "\n\n<details><summary>{}</summary>\n\n{}\n</details>",
                visible::line(&step.file).replace(['<', '>', '&'], " "),
                block("text", &page.finish())
            ));
        }
        if let Some(diagram) = &self.diagram {
            text.push_str(&format!("\n\n```mermaid\n{}\n```", diagram.trim_end()));
        }
        if let Some(file) = &self.file {
            text.push_str(&format!(
                "\n\nto run: `af-db up --plan {file} --approve {}`",
                self.sha256
            ));
        }
        text.push('\n');
        text
    }
}

impl PlanReport {
    fn next(&self, page: &mut Page) {
        page.gap();
        let Some(file) = &self.file else {
            page.line(
                "to run exactly this plan: af-db plan --out plan.json, then af-db up --plan plan.json",
            );
            return;
        };
        let environment = &self.plan.environment;
        match self.approvals {
            0 => {}
            1 => page.line(format!(
                "to approve: minisign -Sm {file} -t 'environment={environment} expires=…'"
            )),
            needed => page.line(format!(
                "to approve, by {needed} approvers: minisign -Sm {file} -x {file}.NAME.minisig -t 'environment={environment} expires=…'"
            )),
        }
        let approve = if self.approved {
            format!(" --approve {}", self.sha256)
        } else {
            String::new()
        };
        page.line(format!("to run: af-db up --plan {file}{approve}"));
    }
}

/// The kinds of code in the database that a plan names for a person.
const TRIGGERED_KINDS: [&str; 4] = ["event trigger", "function", "rule", "trigger"];

/// Makes a finding of an impact that is more than a note.
fn impact_finding(weight: &Impact, plan: &PlanDocument) -> Option<Finding> {
    if weight.severity == Severity::Note {
        return None;
    }
    let step = plan.steps.get(weight.step)?;
    let statement = step.statements.get(weight.statement.checked_sub(1)?)?;
    let code = match weight.aspect {
        ImpactKind::Lock => "observed-lock",
        ImpactKind::Rows => "observed-rows",
        ImpactKind::Security => "observed-security",
        ImpactKind::Scan => "observed-scan",
        ImpactKind::Build => "observed-build",
        ImpactKind::Rewrite => "observed-rewrite",
        ImpactKind::Drop => "observed-drop",
        ImpactKind::Loss => "observed-loss",
    };
    let finding = Finding::new(weight.severity, code, &weight.object, about(weight));
    Some(finding.place(Location::at(&step.file, statement.line, 1)))
}

/// The message for a finding, which already names the object.
fn about(weight: &Impact) -> &str {
    let object = &weight.object;
    let short = object.strip_prefix("public.").unwrap_or(object);
    let rest = weight.words.strip_prefix(short);
    rest.and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(&weight.words)
}

/// Writes which data is lost, as far as is known.
fn loss_lines(page: &mut Page, plan: &PlanDocument) {
    for loss in &plan.losses {
        page.toned(Tone::Bad, format!("data lost: {loss}"));
    }
    let deleted = data_loss::deleted(plan);
    for table in &deleted {
        page.toned(Tone::Warn, format!("rows may be deleted: {table}"));
    }
    match (
        &plan.schema_after,
        plan.losses.is_empty() && deleted.is_empty(),
    ) {
        (Some(_), true) if plan.steps.iter().any(|step| step.observed.is_none()) => page.toned(
            Tone::Warn,
            "no data loss found in the SQL; the migrations were not observed on a shadow database",
        ),
        (Some(_), true) => page.line("no data is lost"),
        (None, _) => page.toned(
            Tone::Warn,
            "data loss after the failing statement is unknown",
        ),
        (Some(_), false) => {}
    }
}

/// Writes which code in the database the migrations may run.
fn code_line(page: &mut Page, plan: &PlanDocument) {
    let triggered: Vec<String> = plan
        .reach
        .code
        .iter()
        .filter(|code| TRIGGERED_KINDS.contains(&code.kind.as_str()))
        .map(ToString::to_string)
        .collect();
    if let [first, rest @ ..] = triggered.as_slice() {
        let more = match rest.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        page.line(format!(
            "triggers, rules and functions the migrations may run: {first}{more}"
        ));
    }
}

fn step_lines(page: &mut Page, number: usize, step: &PlannedMigration, weights: &[&Impact]) {
    let mode = match step.mode {
        Mode::Transaction => "one transaction",
        Mode::Statements => "no transaction",
    };
    let down = match &step.way_back {
        PlannedDown::File { .. } => "down migration present".to_owned(),
        PlannedDown::Irreversible(reason) => format!("irreversible: {reason}"),
        PlannedDown::None => "no down migration".to_owned(),
    };
    let head = format!("{number}. {}", step.file);
    page.headed(Tone::Strong, &head, format!(", {mode}; {down}"));
    if let Some(limit) = step.timeout_ms {
        page.line(format!("   statement timeout {}", time(limit)));
    }
    if step.continues_behind > 0 {
        page.line(format!(
            "   continues after the first {} of its units",
            step.continues_behind
        ));
    }
    for (at, statement) in (1..).zip(&step.statements) {
        let first = statement.sql.lines().next().unwrap_or_default();
        let more = if statement.sql.lines().nth(1).is_some() {
            " …"
        } else {
            ""
        };
        page.line(format!("   {first}{more}"));
        for weight in weights.iter().filter(|weight| weight.statement == at) {
            let tone = match weight.severity {
                Severity::Error => Tone::Bad,
                Severity::Warn => Tone::Warn,
                Severity::Note if weight.aspect == ImpactKind::Lock => Tone::Dim,
                Severity::Note => Tone::Plain,
            };
            page.toned(tone, format!("     {}", weight.words));
        }
    }
}

/// Writes a time for a person.
fn time(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{} s", milliseconds / 1000),
        _ => format!("{} min", milliseconds / 60_000),
    }
}
