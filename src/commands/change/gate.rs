//! Owns the guards before a run: who approved its plan, and what the environment requires.
//!
//! Everything here refuses with nothing touched; nothing here has a default answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};

use crate::backup::identity::NamedDatabase;
use crate::backup::proven;
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

/// What was permitted, and what must come of it.
#[derive(Default)]
pub(crate) struct Permit {
    pub(crate) approved_by: Option<String>,
    pub(crate) predicted: Option<Catalog>,
    /// What the run must not do more than, where it was tried.
    pub(crate) prediction: Option<Prediction>,
}

impl Permit {
    /// Binds the run to what was planned.
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
    /// A plan that somebody approved.
    ApprovedPlan,
    /// A proven backup no older than this.
    VerifiedBackup(Duration),
    /// Policies that let no tenant reach another's rows, tried on a shadow of what would be there.
    ProvenRls,
}

/// Reads what an environment requires; one that is written down and not kept would be worse than none.
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
                    "environment `{environment}` asks for `{text}`, which this version cannot check; nothing was touched"
                ))
                .hint("it knows approved-plan, verified-backup-within 24h and proven-rls; see to the other one yourself, and take it out of af-db.yaml")
                .into())
            }
        }
    };
    rules.require.iter().map(read).collect()
}

/// Lets a run go on, or refuses it with nothing touched.
pub(crate) async fn admit(
    context: &Context,
    args: &PlanFlags,
    inputs: PlanInputs<'_>,
    (bound, target): (Option<&ApprovedPlan>, &Target),
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
            permit.approved_by = approve(context, args, (bound, target), (approved, &quorum))?
        }
        None if approved => {
            return Err(refuse(format!(
                "environment `{}` takes only approved plans; nothing was touched",
                database.environment()
            ))
            .hint("write one with af-db plan --out plan.json, have it approved, and run af-db up --plan plan.json")
            .into());
        }
        None if database.is_protected() => {
            let losses = foresee(context, inputs, &mut permit).await;
            let what = format!("{}{}", losses.told, select::describe(inputs.chosen));
            typed(context, target, &what, PLANNED)?;
            acknowledge(context, &losses.named)?;
        }
        None => {}
    }
    protection::mark(context, inputs.session, target).await;
    Ok(permit)
}

/// What a run without a plan destroys.
struct Losses {
    /// What must be typed by its name.
    named: Vec<String>,
    /// What else is said before the question.
    told: String,
}

/// Tries on a shadow what a run without a plan does, so that a person is asked about what is lost, not about text.
async fn foresee(context: &Context, inputs: PlanInputs<'_>, permit: &mut Permit) -> Losses {
    let by_text = |told: String| Losses {
        named: select::losses(inputs.chosen),
        told,
    };
    if !context.terminal.is_interactive() {
        return by_text(String::new());
    }
    let made = match planning::make(context, inputs).await {
        Ok(made) if made.predicted.is_some() => made,
        Ok(_) => return by_text("It failed on a shadow; see af-db plan.\n".to_owned()),
        Err(error) => {
            let why = format!(
                "It could not be tried on a shadow ({error:#}); what is lost is read from the text alone.\n"
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
    Losses {
        named,
        told: lines.collect(),
    }
}

/// Keeps `proven-rls`: tries on a shadow of these files to reach another tenant's rows.
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
            "environment `{environment}` asks for proven-rls, and nothing says what a tenant is; nothing was touched"
        ))
        .hint("declare `tenancy:` with column and identity, in policies/ or in af-db.yaml")
        .into());
    };
    if proven.proof.is_clean() {
        return Ok(());
    }
    Err(refuse(format!(
        "with these migrations one tenant could reach another's rows, or it cannot be ruled out ({}); nothing was touched",
        proven.words()
    ))
    .hint("see af-db diff-rls --prove --shadow")
    .findings(proven.findings)
    .into())
}

/// What leads to a change of a protected environment where no person can be asked.
pub(crate) const PLANNED: &str = "migrations can be approved elsewhere: af-db plan --out plan.json, then af-db up --plan plan.json --approve sha256:…";

/// Asks before a protected environment is changed by anything but a plan: the words must be typed.
pub(crate) async fn confirm(
    context: &Context,
    session: &Session,
    target: &Target,
    what: &str,
) -> Result<()> {
    confirm_or(context, session, target, what, PLANNED).await
}

/// Asks as [`confirm`] does; `otherwise` says what leads there where nobody can be asked.
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

/// Asks as [`confirm_or`] does, before there is a database to write into that it is protected.
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
        // One person alone would do what the environment wants two to look at.
        return Err(refuse(format!(
            "environment `{}` has approvers, who can approve only plans; nothing was touched",
            database.environment()
        ))
        .hint("write a migration that does it, plan it and have the plan approved")
        .into());
    }
    if !is_guarded {
        return Ok(());
    }
    typed(context, target, what, otherwise)
}

/// Says whether nothing may be changed here before the words are typed.
pub(crate) fn is_guarded(context: &Context) -> Result<bool> {
    let guards = guards(context)?;
    Ok(context.config.database.is_protected() || !guards.is_empty())
}

/// Asks as [`confirm_or`] does, and where nothing is guarded for a plain yes: what is there now is taken away anywhere.
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

/// Asks as [`confirm_anywhere`] does, before there is a database to write into that it is protected.
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

/// Asks before something is put beside a protected environment, on the same server: that takes nothing away, so approvers
/// need not sign it.
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

/// Asks for the words of a protected environment.
pub(crate) fn typed(context: &Context, target: &Target, what: &str, otherwise: &str) -> Result<()> {
    let environment = context.config.database.environment();
    let words = format!("{environment}/{}", target.database());
    let place = format!("{target}, environment `{environment}`");
    // The first line alone is told where nobody can be asked, so it says where.
    let what = what.trim_end();
    let question = match what.split_once('\n') {
        Some((first, rest)) => format!("{} on {place}:\n{rest}", first.trim_end_matches(':')),
        None => format!("{what} on {place}"),
    };
    context.terminal.confirm_typed(&question, &words, otherwise)
}

/// Has the plan approved: by signature where there are approvers, by its name or by a person who types.
fn approve(
    context: &Context,
    args: &PlanFlags,
    (bound, target): (&ApprovedPlan, &Target),
    (needed, quorum): (bool, &Quorum),
) -> Result<Option<String>> {
    if let Some(given) = &args.approve
        && !approval::is_full_hash(given, &bound.sha256)
    {
        return Err(refuse(format!(
            "{} is plan {}, not the one approved; nothing was touched",
            bound.shown, bound.sha256
        ))
        .hint("approve what was looked at, by its whole name: sha256: and 64 digits")
        .into());
    }
    let signed = signatures(context, args, (bound, quorum))?;
    let database = &context.config.database;
    if args.approve.is_some() || !(needed || database.is_protected()) {
        return Ok(signed);
    }
    if !context.terminal.is_interactive() {
        return Err(refuse(format!(
            "environment `{}` wants the plan approved, and there is no terminal to ask on; nothing was touched",
            database.environment()
        ))
        .hint(format!("approve it by its name: --approve {}", bound.sha256))
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

/// Has everything that is going to be lost typed by its name.
fn acknowledge(context: &Context, losses: &[String]) -> Result<()> {
    for loss in losses {
        let what = format!("The data of {loss} will be lost for good.");
        context.terminal.confirm_typed(&what, loss, PLANNED)?;
    }
    Ok(())
}

/// Checks the signatures that `approvers` ask for; gives whose they are.
fn signatures(
    context: &Context,
    args: &PlanFlags,
    (bound, quorum): (&ApprovedPlan, &Quorum),
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
            "there is no signature of an approver at {}; nothing was changed",
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

/// Finds the signatures that lie beside a plan: `plan.json.minisig` and `plan.json.NAME.minisig`.
fn beside(plan: &Path) -> Result<Vec<PathBuf>> {
    let name = plan.file_name().unwrap_or_default().to_string_lossy();
    let folder = match plan.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).context("looking for signatures beside the plan")? {
        let path = entry
            .context("looking for signatures beside the plan")?
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

/// Keeps `verified-backup-within` before anything but a plan changes the environment.
pub(crate) fn backed_up(context: &Context, session: &Session) -> Result<()> {
    backups(context, &guards(context)?, session)
}

/// Keeps `verified-backup-within`.
pub(crate) fn backups(context: &Context, guards: &[Guard], session: &Session) -> Result<()> {
    let mut missing = Vec::new();
    for guard in guards {
        if let Guard::VerifiedBackup(within) = guard {
            let wanted = NamedDatabase::of(session);
            let within = TimeDelta::from_std(*within).context("reading verified-backup-within")?;
            let store = archives::store(context, None)?;
            missing.extend(proven::missing_within(&store, &wanted, within, Utc::now())?);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let environment = context.config.database.environment();
    Err(refuse(format!(
        "environment `{environment}` wants a fresh proven backup; nothing was touched"
    ))
    .findings(missing)
    .into())
}

/// Gives when the newest proven backup of a database was begun.
pub(crate) fn newest_backup(
    context: &Context,
    of: &NamedDatabase,
) -> Result<Option<DateTime<Utc>>> {
    let store = archives::store(context, None)?;
    let newest = proven::latest(&store, of, Utc::now())?;
    Ok(newest.and_then(|(archive, _)| archive.begun()))
}
