//! Owns the guards before a run: the plan it is bound to, who approved it, and what the environment requires.
//!
//! Everything here refuses with nothing touched; nothing here has a default answer.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};

use crate::backup::proven::{self, Wanted};
use crate::catalog::Catalog;
use crate::commands::pending::{self, Selection};
use crate::commands::planning::{self, Basis};
use crate::commands::project::{self, Books};
use crate::commands::{Context, archives, policies};
use crate::error::{fail, refuse};
use crate::migrate::files::{Folder, Migration};
use crate::migrate::planned;
use crate::migrate::standing::Standing;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::plan::approval::{self, Asked};
use crate::plan::document::compare::{self, Binding};
use crate::plan::document::{self, Document};
use crate::plan::observe::StepObservation;
use crate::shadow;

/// Flags that bind a run to a plan.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Flags {
    /// Run exactly the plan of this file, or nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "steps", "allow_out_of_order"])]
    pub(crate) plan: Option<PathBuf>,
    /// Approve the plan of this name, `sha256:` and 64 digits, where no person can be asked (with --plan or --fleet)
    #[arg(long, value_name = "SHA256")]
    pub(crate) approve: Option<String>,
    /// An approver's signature of the plan; the plan's file with .minisig where nothing is said
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub(crate) signature: Option<PathBuf>,
    /// Go on with a plan, or a fleet, of which an earlier run did a part
    #[arg(long)]
    pub(crate) resume: bool,
}

/// A plan that a run is bound to.
pub(crate) struct Bound {
    shown: String,
    path: PathBuf,
    text: String,
    document: Document,
    resume: bool,
    pub(crate) sha256: String,
}

/// What was permitted, and what must come of it.
#[derive(Default)]
pub(crate) struct Permit {
    pub(crate) approved_by: Option<String>,
    pub(crate) predicted: Option<Catalog>,
    /// What each step did where it was tried; the run must not do more.
    pub(crate) observed: Vec<StepObservation>,
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
    let rules = &context.config.database.rules;
    let read = |text: &String| {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["approved-plan"] => Ok(Guard::ApprovedPlan),
            ["verified-backup-within", within] => {
                project::duration("verified-backup-within", within).map(Guard::VerifiedBackup)
            }
            ["proven-rls"] => Ok(Guard::ProvenRls),
            _ => {
                let environment = &context.config.database.environment;
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

impl Bound {
    /// Reads the plan that a run is bound to.
    pub(crate) fn load(args: &Flags) -> Result<Option<Bound>> {
        let Some(path) = &args.plan else {
            let flag = match (&args.approve, args.resume) {
                (Some(_), _) => "--approve",
                (None, true) => "--resume",
                (None, false) => return Ok(None),
            };
            return Err(fail(format!(
                "{flag} says nothing without a plan; nothing was touched"
            ))
            .hint("name the plan with --plan, or the fleet with --fleet")
            .into());
        };
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading {shown}; nothing was touched"))?;
        Ok(Some(Bound {
            document: Document::parse(&shown, &text)?,
            sha256: document::sha256(&text),
            path: path.clone(),
            resume: args.resume,
            shown,
            text,
        }))
    }

    /// Chooses what the plan covers; refuses a plan that was carried out.
    pub(crate) async fn selection(
        &self,
        session: &Session,
        books: &Books,
        (folder, standing): (&Folder, &Standing),
    ) -> Result<Selection> {
        self.refuse_replay(session, books).await?;
        let steps = || self.document.steps.iter().map(|step| step.version);
        // What is newer than the last of its steps is none of the plan's business.
        let last = steps().max();
        let there = |version: &i64| {
            folder
                .migrations
                .iter()
                .any(|file| file.version == *version)
        };
        Ok(Selection {
            to: last.filter(there),
            steps: None,
            allow_out_of_order: steps().any(|version| standing.out_of_order.contains(&version)),
        })
    }

    async fn refuse_replay(&self, session: &Session, books: &Books) -> Result<()> {
        let done = planned::applied(session, &books.history, &self.sha256).await?;
        let Some(last) = done.last() else {
            return Ok(());
        };
        let applied = |version: i64| done.iter().any(|step| step.version == version);
        let mut steps = self.document.steps.iter();
        if steps.all(|step| applied(step.version)) {
            return Err(refuse(format!(
                "plan {} was carried out at {}; nothing was touched",
                self.sha256, last.at
            ))
            .hint("a plan is good for one run: af-db plan makes the next")
            .into());
        }
        if self.resume {
            return Ok(());
        }
        Err(refuse(format!(
            "{} of the {} steps of this plan are applied already; nothing was touched",
            done.len(),
            self.document.steps.len()
        ))
        .hint("go on with the rest: --resume")
        .into())
    }

    async fn done(&self, basis: Basis<'_>) -> Result<BTreeSet<i64>> {
        let steps = planned::applied(basis.session, &basis.books.history, &self.sha256).await?;
        Ok(steps.into_iter().map(|step| step.version).collect())
    }
}

/// Lets a run go on, or refuses it with nothing touched.
pub(crate) async fn admit(
    context: &Context,
    args: &Flags,
    basis: Basis<'_>,
    (bound, target): (Option<&Bound>, &Target),
) -> Result<Permit> {
    let guards = guards(context)?;
    let mut permit = Permit::default();
    if let Some(bound) = bound {
        (permit.predicted, permit.observed) = bind(context, basis, bound).await?;
    }
    backups(context, &guards, basis.session)?;
    if guards.contains(&Guard::ProvenRls) {
        let is_there = |file: &&Migration| {
            let chosen = basis.chosen.iter().any(|one| one.version == file.version);
            chosen || basis.books.history.row(file.version).is_some()
        };
        let files = basis.folder.migrations.iter().filter(is_there);
        let files: Vec<Migration> = files.cloned().collect();
        isolation(context, Some(basis.session), &files).await?;
    }
    let database = &context.config.database;
    let rules = &database.rules;
    let approved = guards.contains(&Guard::ApprovedPlan) || !rules.approvers.is_empty();
    match bound {
        Some(bound) => permit.approved_by = approve(context, args, (bound, target), approved)?,
        None if approved => {
            return Err(refuse(format!(
                "environment `{}` takes only approved plans; nothing was touched",
                database.environment
            ))
            .hint("write one with af-db plan --out plan.json, have it approved, and run af-db up --plan plan.json")
            .into());
        }
        None if database.is_protected() => {
            typed(context, target, &pending::describe(basis.chosen), PLANNED)?;
            acknowledge(context, &pending::losses(basis.chosen))?;
        }
        None => {}
    }
    Ok(permit)
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
    let environment = &context.config.database.environment;
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
pub(crate) fn confirm(context: &Context, target: &Target, what: &str) -> Result<()> {
    confirm_or(context, target, what, PLANNED)
}

/// Asks as [`confirm`] does; `otherwise` says what leads there where nobody can be asked.
pub(crate) fn confirm_or(
    context: &Context,
    target: &Target,
    what: &str,
    otherwise: &str,
) -> Result<()> {
    let database = &context.config.database;
    let guards = guards(context)?;
    if !database.rules.approvers.is_empty() {
        // One person alone would do what the environment wants two to look at.
        return Err(refuse(format!(
            "environment `{}` has approvers, who can approve only plans; nothing was touched",
            database.environment
        ))
        .hint("write a migration that does it, plan it and have the plan approved")
        .into());
    }
    if !database.is_protected() && guards.is_empty() {
        return Ok(());
    }
    typed(context, target, what, otherwise)
}

/// Asks for the words of a protected environment.
fn typed(context: &Context, target: &Target, what: &str, otherwise: &str) -> Result<()> {
    let environment = &context.config.database.environment;
    let words = format!("{environment}/{}", target.database());
    context.terminal.confirm_typed(
        &format!("{what}on {target}, environment `{environment}`"),
        &words,
        otherwise,
    )
}

/// Holds the plan against what would be planned now; gives the schema it must lead to, and what its steps do.
async fn bind(
    context: &Context,
    basis: Basis<'_>,
    bound: &Bound,
) -> Result<(Option<Catalog>, Vec<StepObservation>)> {
    let made = planning::make(context, basis).await?;
    let done = bound.done(basis).await?;
    match compare::compare(&bound.document, &made.document, &done) {
        Binding::Fresh => {
            context
                .terminal
                .say("the plan is fresh: nothing has moved since it was made");
        }
        Binding::Explained(moved) => {
            context
                .terminal
                .say("the plan holds: its steps are what they were, though this has moved");
            for line in moved {
                context.terminal.say(&format!("  {line}"));
            }
        }
        Binding::Stale(differences) => {
            let lines: Vec<String> = differences
                .iter()
                .map(|line| format!("\n  {line}"))
                .collect();
            return Err(refuse(format!(
                "{} is stale, nothing was touched:{}",
                bound.shown,
                lines.concat()
            ))
            .hint("look at what differs, plan again and have the new plan approved")
            .into());
        }
    }
    let steps = made.document.steps.into_iter();
    Ok((
        made.predicted,
        steps.filter_map(|step| step.observed).collect(),
    ))
}

/// Has the plan approved: by signature where there are approvers, by its name or by a person who types.
fn approve(
    context: &Context,
    args: &Flags,
    (bound, target): (&Bound, &Target),
    needed: bool,
) -> Result<Option<String>> {
    if let Some(given) = &args.approve
        && !approval::names(given, &bound.sha256)
    {
        return Err(refuse(format!(
            "{} is plan {}, not the one approved; nothing was touched",
            bound.shown, bound.sha256
        ))
        .hint("approve what was looked at, by its whole name: sha256: and 64 digits")
        .into());
    }
    let signed = signature(context, args, bound)?;
    let database = &context.config.database;
    if args.approve.is_some() || !(needed || database.is_protected()) {
        return Ok(signed);
    }
    if !context.terminal.is_interactive() {
        return Err(refuse(format!(
            "environment `{}` wants the plan approved, and there is no terminal to ask on; nothing was touched",
            database.environment
        ))
        .hint(format!("approve it by its name: --approve {}", bound.sha256))
        .into());
    }
    let what = format!(
        "{} will be run on {target}, environment `{}`: {}",
        bound.shown, database.environment, bound.sha256
    );
    let words = approval::words(&database.environment, target.database(), &bound.sha256);
    context.terminal.confirm_typed(&what, &words, PLANNED)?;
    acknowledge(context, &bound.document.losses)?;
    Ok(signed)
}

/// Has everything that is going to be lost typed by its name.
fn acknowledge(context: &Context, losses: &[String]) -> Result<()> {
    for loss in losses {
        let what = format!("All data of {loss} will be lost for good.");
        context.terminal.confirm_typed(&what, loss, PLANNED)?;
    }
    Ok(())
}

/// Checks the signature that `approvers` ask for; gives whose it is.
fn signature(context: &Context, args: &Flags, bound: &Bound) -> Result<Option<String>> {
    let database = &context.config.database;
    let approvers = approval::approvers(&database.rules.approvers)?;
    if approvers.is_empty() {
        return Ok(None);
    }
    let asked = Asked {
        plan: &bound.text,
        author: bound.document.author.as_deref(),
        environment: &database.environment,
        now: Utc::now(),
    };
    let path = args.signature.clone().unwrap_or_else(|| {
        let mut name = bound.path.clone().into_os_string();
        name.push(".minisig");
        PathBuf::from(name)
    });
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) => {
            return Err(refuse(format!(
                "there is no signature of an approver at {}; nothing was touched",
                path.display()
            ))
            .hint(approval::how_to_sign(&asked))
            .into());
        }
    };
    let approved = approval::check(&approvers, &text, &asked)?;
    context.terminal.say(&format!(
        "approved by {} until {}",
        approved.by,
        approved.until.format("%Y-%m-%d %H:%M UTC")
    ));
    Ok(Some(approved.by))
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
            let facts = session.facts();
            let cluster = facts.system_identifier.map(|number| number.to_string());
            let wanted = Wanted {
                database: &facts.database,
                system_identifier: cluster.as_deref(),
            };
            let within = TimeDelta::from_std(*within).context("reading verified-backup-within")?;
            let store = archives::store(context, None)?;
            missing.extend(proven::missing_within(&store, wanted, within, Utc::now())?);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let environment = &context.config.database.environment;
    Err(refuse(format!(
        "environment `{environment}` wants a fresh proven backup; nothing was touched"
    ))
    .findings(missing)
    .into())
}

/// Gives when the newest proven backup of a database was begun.
pub(crate) fn newest_backup(context: &Context, database: &str) -> Result<Option<DateTime<Utc>>> {
    let store = archives::store(context, None)?;
    let wanted = Wanted {
        database,
        system_identifier: None,
    };
    let newest = proven::latest(&store, wanted)?;
    let started = newest.map(|(archive, _)| archive.started.parse::<DateTime<Utc>>());
    started
        .transpose()
        .context("reading when the newest backup was begun")
}
