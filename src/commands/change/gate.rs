//! The guards before a run: the approved plan and what the environment requires.
//!
//! Everything here refuses before anything is changed; no question has a default answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};

use crate::backup::identity::NamedDatabase;
use crate::backup::verification;
use crate::catalog::Catalog;
use crate::commands::change::approved_plan::{self, ApprovedPlan, PlanFlags};
use crate::commands::change::planning::{self, PlanInputs, PreparedPlan};
use crate::commands::{
    Context, archives, change::data_loss, change::select, policies, project, protection,
};
use crate::config::Database;
use crate::error::refuse;
use crate::migrate::files::Migration;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::plan::approval::{self, ApprovalRequest, Quorum};
use crate::plan::observe::guard::Prediction;
use crate::shadow;

/// What a permitted run is bound to.
#[derive(Default)]
pub(crate) struct Permit {
    pub(crate) approved_by: Option<String>,
    pub(crate) predicted: Option<Catalog>,
    /// What the run may do at most; none where it was not observed on a shadow database.
    pub(crate) prediction: Option<Prediction>,
}

impl Permit {
    /// Limits the run to what was planned.
    fn expect(&mut self, made: PreparedPlan, inputs: PlanInputs<'_>) {
        let steps = made.document.steps.into_iter();
        self.prediction = Some(Prediction {
            steps: steps.filter_map(|step| step.observed).collect(),
            reach: made.document.reach.writes(),
            has_event_triggers: made.document.reach.has_event_triggers(),
            history: inputs.records.history.name.to_string(),
        });
        self.predicted = made.predicted;
    }
}

/// What an environment requires before anything is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    ApprovedPlan,
    /// A verified backup no older than this.
    VerifiedBackup(Duration),
    /// Tenant isolation, probed on a shadow database with the migrations applied.
    ProvenRls,
}

/// Reads what an environment requires; refuses a requirement that this version cannot check.
pub(crate) fn guards(context: &Context) -> Result<Vec<Guard>> {
    guards_of(&context.config.database)
}

/// Reads what the environment of a database requires.
pub(crate) fn guards_of(database: &Database) -> Result<Vec<Guard>> {
    let rules = database.rules();
    let read = |text: &String| {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["approved-plan"] => Ok(Guard::ApprovedPlan),
            ["verified-backup-within", within] => {
                project::duration("verified-backup-within", within).map(Guard::VerifiedBackup)
            }
            ["proven-rls"] => Ok(Guard::ProvenRls),
            _ => {
                let environment = database.environment();
                Err(refuse(format!(
                    "environment `{environment}` requires `{text}`, which this version of af-db does not support; nothing was changed"
                ))
                .hint("Supported: approved-plan, verified-backup-within 24h and proven-rls. Remove the other one from af-db.yaml or upgrade af-db")
                .into())
            }
        }
    };
    rules.require.iter().map(read).collect()
}

/// Permits a run, or refuses it before anything is changed.
pub(crate) async fn admit(
    context: &Context,
    args: &PlanFlags,
    inputs: PlanInputs<'_>,
    bound: Option<&ApprovedPlan>,
    target: &Target,
) -> Result<Permit> {
    let guards = guards(context)?;
    let mut permit = Permit::default();
    if let Some(bound) = bound {
        permit.expect(approved_plan::bind(context, inputs, bound).await?, inputs);
    }
    backups(context, &guards, inputs.session)?;
    if guards.contains(&Guard::ProvenRls) {
        let is_there = |file: &&Migration| {
            let chosen = inputs.chosen.iter().any(|one| one.version == file.version);
            chosen || inputs.records.history.row(file.version).is_some()
        };
        let files = inputs.folder.migrations.iter().filter(is_there);
        let files: Vec<Migration> = files.cloned().collect();
        isolation(context, Some(inputs.session), &files).await?;
    }
    let database = &context.config.database;
    let rules = database.rules();
    let quorum = Quorum::read(&rules.approvers, rules.approvals)?;
    let approved = guards.contains(&Guard::ApprovedPlan) || quorum.needed > 0;
    match bound {
        Some(bound) => {
            permit.approved_by = approve(context, args, bound, target, approved, &quorum)?;
        }
        None if approved => {
            return Err(refuse(format!(
                "environment `{}` requires an approved plan; nothing was changed",
                database.environment()
            ))
            .hint("Save a plan with af-db plan --out plan.json, have it approved, then run af-db up --plan plan.json")
            .into());
        }
        None if database.is_protected() => {
            let losses = foresee(context, inputs, &mut permit).await;
            let what = format!("{}{}", losses.notes, select::describe(inputs.chosen));
            typed(context, target, &what, PLANNED)?;
            acknowledge(context, &losses.named)?;
        }
        None => {}
    }
    protection::mark(context, inputs.session, target).await;
    Ok(permit)
}

/// What a run without a saved plan destroys.
struct ForeseenLosses {
    /// What must be confirmed by its name.
    named: Vec<String>,
    /// What else is shown before the question.
    notes: String,
}

/// Runs the migrations on a shadow database, so that a person confirms the data loss that was observed.
async fn foresee(context: &Context, inputs: PlanInputs<'_>, permit: &mut Permit) -> ForeseenLosses {
    let by_text = |notes: String| ForeseenLosses {
        named: select::losses(inputs.chosen),
        notes,
    };
    if !context.terminal.is_interactive() {
        return by_text(String::new());
    }
    let made = match planning::make(context, inputs).await {
        Ok(made) if made.predicted.is_some() => made,
        Ok(_) => {
            return by_text(
                "The migrations failed on the shadow database; see af-db plan.\n".to_owned(),
            );
        }
        Err(error) => {
            let why = format!(
                "The migrations could not be run on a shadow database ({error:#}); data loss is estimated from the SQL.\n"
            );
            return by_text(why);
        }
    };
    let deleted = data_loss::deleted(&made.document);
    let lines = deleted
        .iter()
        .map(|table| format!("Rows may be deleted: {table}.\n"));
    let named = made.document.losses.clone();
    permit.expect(made, inputs);
    ForeseenLosses {
        named,
        notes: lines.collect(),
    }
}

/// Enforces `proven-rls`: probes tenant isolation on a shadow database built from these files.
pub(crate) async fn isolation(
    context: &Context,
    live: Option<&Session>,
    files: &[Migration],
) -> Result<()> {
    let scratch = context.scratch(live).await?;
    let watch = context.watch();
    let shadow = shadow::build(&scratch, "isolation", files, &watch).await?;
    shadow.session.close().await;
    let environment = context.config.database.environment();
    let Some(proven) = policies::proven(context, &shadow.target).await? else {
        return Err(refuse(format!(
            "environment `{environment}` requires proven-rls, but no tenant column is declared; nothing was changed"
        ))
        .hint("Declare `tenancy:` with column and identity in policies/ or af-db.yaml")
        .into());
    };
    if proven.proof.is_clean() {
        return Ok(());
    }
    Err(refuse(format!(
        "tenant isolation is not proven with these migrations ({}); nothing was changed",
        proven.words()
    ))
    .hint("see af-db diff-rls --prove --shadow")
    .findings(proven.findings)
    .into())
}

/// How to change a protected environment without a terminal.
pub(crate) const PLANNED: &str = "without a terminal, use an approved plan: af-db plan --out plan.json, then af-db up --plan plan.json --approve sha256:…";

/// Asks for a typed confirmation before a protected environment is changed without a plan.
pub(crate) async fn confirm(
    context: &Context,
    session: &Session,
    target: &Target,
    what: &str,
) -> Result<()> {
    confirm_or(context, session, target, what, PLANNED).await
}

/// Asks as [`confirm`] does; `otherwise` is the hint where there is no terminal.
pub(crate) async fn confirm_or(
    context: &Context,
    session: &Session,
    target: &Target,
    what: &str,
    otherwise: &str,
) -> Result<()> {
    permit(context, target, what, otherwise)?;
    protection::mark(context, session, target).await;
    Ok(())
}

/// Asks as [`confirm_or`] does, before the database exists that is marked as protected.
pub(crate) fn permit(
    context: &Context,
    target: &Target,
    what: &str,
    otherwise: &str,
) -> Result<()> {
    let database = &context.config.database;
    let is_guarded = is_guarded(context)?;
    let rules = database.rules();
    if Quorum::read(&rules.approvers, rules.approvals)?.needed > 0 {
        // A typed confirmation by one person would bypass the approvers.
        return Err(refuse(format!(
            "environment `{}` has approvers, and they can approve only plans; nothing was changed",
            database.environment()
        ))
        .hint("Write a migration for this change, plan it and have the plan approved")
        .into());
    }
    if !is_guarded {
        return Ok(());
    }
    typed(context, target, what, otherwise)
}

/// Whether a change needs a typed confirmation.
pub(crate) fn is_guarded(context: &Context) -> Result<bool> {
    let guards = guards(context)?;
    Ok(context.config.database.is_protected() || !guards.is_empty())
}

/// Asks as [`confirm_or`] does, and for a plain yes in unguarded environments: existing data is replaced.
pub(crate) async fn confirm_anywhere(
    context: &Context,
    session: &Session,
    target: &Target,
    what: &str,
    otherwise: &str,
) -> Result<()> {
    permit_anywhere(context, target, what, otherwise)?;
    protection::mark(context, session, target).await;
    Ok(())
}

/// Asks as [`confirm_anywhere`] does, before the database exists that is marked as protected.
pub(crate) fn permit_anywhere(
    context: &Context,
    target: &Target,
    what: &str,
    otherwise: &str,
) -> Result<()> {
    permit(context, target, what, otherwise)?;
    if is_guarded(context)? {
        return Ok(());
    }
    context.confirm(&format!("{what}on {target}?"))
}

/// Asks before a database is created on the server of a protected environment: nothing is replaced, so approvers need
/// not sign it.
pub(crate) fn permit_beside(
    context: &Context,
    target: &Target,
    what: &str,
    otherwise: &str,
) -> Result<()> {
    match context.config.database.is_protected() {
        true => typed(context, target, what, otherwise),
        false => Ok(()),
    }
}

/// Asks for the typed confirmation of a protected environment.
pub(crate) fn typed(context: &Context, target: &Target, what: &str, otherwise: &str) -> Result<()> {
    let environment = context.config.database.environment();
    let words = format!("{environment}/{}", target.database());
    let place = format!("{target}, environment `{environment}`");
    // Without a terminal only the first line is shown, so it names the database.
    let what = what.trim_end();
    let question = match what.split_once('\n') {
        Some((first, rest)) => format!("{} on {place}:\n{rest}", first.trim_end_matches(':')),
        None => format!("{what} on {place}"),
    };
    context.terminal.confirm_typed(&question, &words, otherwise)
}

/// Has the plan approved: by signatures where there are approvers, by its hash, or by a typed confirmation.
fn approve(
    context: &Context,
    args: &PlanFlags,
    bound: &ApprovedPlan,
    target: &Target,
    needed: bool,
    quorum: &Quorum,
) -> Result<Option<String>> {
    if let Some(given) = &args.approve
        && !approval::is_full_hash(given, &bound.sha256)
    {
        return Err(refuse(format!(
            "{} is plan {}, not the approved one; nothing was changed",
            bound.shown, bound.sha256
        ))
        .hint("Approve the reviewed plan by its full hash: --approve sha256:… (64 digits)")
        .into());
    }
    let signed = signatures(context, args, bound, quorum)?;
    let database = &context.config.database;
    if args.approve.is_some() || !(needed || database.is_protected()) {
        return Ok(signed);
    }
    if !context.terminal.is_interactive() {
        return Err(refuse(format!(
            "environment `{}` requires an approved plan, and there is no terminal; nothing was changed",
            database.environment()
        ))
        .hint(format!("Approve it by its hash: --approve {}", bound.sha256))
        .into());
    }
    let mut what = format!(
        "{} will be run on {target}, environment `{}`: {}",
        bound.shown,
        database.environment(),
        bound.sha256
    );
    for table in data_loss::deleted(&bound.document) {
        what.push_str(&format!("\nRows may be deleted: {table}."));
    }
    let words =
        approval::confirmation_phrase(database.environment(), target.database(), &bound.sha256);
    context.terminal.confirm_typed(&what, &words, PLANNED)?;
    acknowledge(context, &bound.document.losses)?;
    Ok(signed)
}

/// Has each data loss confirmed by its name.
fn acknowledge(context: &Context, losses: &[String]) -> Result<()> {
    for loss in losses {
        let what = format!("All data of {loss} will be lost.");
        context.terminal.confirm_typed(&what, loss, PLANNED)?;
    }
    Ok(())
}

/// Checks the signatures against `approvers`; returns the names of the signers.
fn signatures(
    context: &Context,
    args: &PlanFlags,
    bound: &ApprovedPlan,
    quorum: &Quorum,
) -> Result<Option<String>> {
    if quorum.needed == 0 {
        return Ok(None);
    }
    let environment = context.config.database.environment();
    let asked = ApprovalRequest {
        plan: &bound.text,
        author: bound.document.author.as_deref(),
        environment,
        now: Utc::now(),
    };
    let paths = match args.signature.is_empty() {
        true => beside(&bound.path)?,
        false => args.signature.clone(),
    };
    let mut signatures = Vec::new();
    for path in &paths {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading {}; nothing was changed", path.display()))?;
        signatures.push(text);
    }
    if signatures.is_empty() {
        let mut expected = bound.path.clone().into_os_string();
        expected.push(".minisig");
        return Err(refuse(format!(
            "no signature of an approver found at {}; nothing was changed",
            expected.display()
        ))
        .hint(approval::how_to_sign(&asked))
        .into());
    }
    let approved = quorum.check(&signatures, &asked)?;
    for one in &approved {
        context.terminal.say(&format!(
            "approved by {} until {}",
            one.by,
            one.until.format("%Y-%m-%d %H:%M UTC")
        ));
    }
    let names: Vec<String> = approved.into_iter().map(|one| one.by).collect();
    Ok(Some(names.join(", ")))
}

/// Finds the signature files next to a plan: `plan.json.minisig` and `plan.json.NAME.minisig`.
fn beside(plan: &Path) -> Result<Vec<PathBuf>> {
    let name = plan.file_name().unwrap_or_default().to_string_lossy();
    let folder = match plan.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).context("looking for signatures next to the plan")? {
        let path = entry
            .context("looking for signatures next to the plan")?
            .path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let rest = file.strip_prefix(&*name);
        if rest.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".minisig")) {
            found.push(path.clone());
        }
    }
    found.sort();
    Ok(found)
}

/// Enforces `verified-backup-within` for a change without a plan.
pub(crate) fn backed_up(context: &Context, session: &Session) -> Result<()> {
    backups(context, &guards(context)?, session)
}

/// Enforces `verified-backup-within`.
pub(crate) fn backups(context: &Context, guards: &[Guard], session: &Session) -> Result<()> {
    let mut missing = Vec::new();
    for guard in guards {
        if let Guard::VerifiedBackup(within) = guard {
            let wanted = NamedDatabase::of(session);
            let within = TimeDelta::from_std(*within).context("reading verified-backup-within")?;
            let store = archives::store(context, None)?;
            missing.extend(verification::missing_within(
                &store,
                &wanted,
                within,
                Utc::now(),
            )?);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let environment = context.config.database.environment();
    Err(refuse(format!(
        "environment `{environment}` requires a recent verified backup; nothing was changed"
    ))
    .findings(missing)
    .into())
}

/// When the newest verified backup of a database was started.
pub(crate) fn newest_backup(
    context: &Context,
    of: &NamedDatabase,
) -> Result<Option<DateTime<Utc>>> {
    let store = archives::store(context, None)?;
    let newest = verification::latest(&store, of, Utc::now())?;
    Ok(newest.and_then(|(archive, _)| archive.begun()))
}
