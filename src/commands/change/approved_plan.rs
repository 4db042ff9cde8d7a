//! The saved plan that a run must follow: reading it, what earlier runs of it applied, and whether it is still valid.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::commands::Context;
use crate::commands::change::planning::{self, PlanInputs, PreparedPlan};
use crate::commands::change::select::Selection;
use crate::commands::project::HistoryAndJournal;
use crate::error::{fail, refuse};
use crate::migrate::files::MigrationFolder;
use crate::migrate::plan_history;
use crate::migrate::status::FolderStatus;
use crate::pg::session::Session;
use crate::plan::document::compare::{self, EarlierRuns, PlanValidity};
use crate::plan::document::{self, PlanDocument};

/// PlanFlags that bind a run to a plan.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct PlanFlags {
    /// Run exactly this saved plan, or nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "steps", "allow_out_of_order"])]
    pub(crate) plan: Option<PathBuf>,
    /// Approve the plan with this full hash, sha256:… (with --plan or --fleet)
    #[arg(long, value_name = "SHA256")]
    pub(crate) approve: Option<String>,
    /// Signature file of an approver (repeatable) [default: PLAN.minisig and PLAN.*.minisig]
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub(crate) signature: Vec<PathBuf>,
    /// Continue an interrupted plan or fleet run
    #[arg(long)]
    pub(crate) resume: bool,
}

/// A saved plan.
pub(crate) struct ApprovedPlan {
    pub(crate) shown: String,
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) document: PlanDocument,
    resume: bool,
    pub(crate) sha256: String,
}

impl ApprovedPlan {
    pub(crate) fn load(args: &PlanFlags) -> Result<Option<ApprovedPlan>> {
        let Some(path) = &args.plan else {
            let flag = match (&args.approve, args.resume) {
                (Some(_), _) => "--approve",
                (None, true) => "--resume",
                (None, false) => return Ok(None),
            };
            return Err(fail(format!("{flag} needs a plan; nothing was changed"))
                .hint("Add --plan FILE or --fleet FILE")
                .into());
        };
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading {shown}; nothing was changed"))?;
        Ok(Some(ApprovedPlan {
            document: PlanDocument::parse(&shown, &text)?,
            sha256: document::sha256(&text),
            path: path.clone(),
            resume: args.resume,
            shown,
            text,
        }))
    }

    /// Selects the migrations of the plan; refuses a plan that was already applied.
    pub(crate) async fn selection(
        &self,
        session: &Session,
        records: &HistoryAndJournal,
        folder: &MigrationFolder,
        standing: &FolderStatus,
    ) -> Result<Selection> {
        self.refuse_replay(session, records).await?;
        let steps = || self.document.steps.iter().map(|step| step.version);
        // Migrations newer than the plan's last step are not part of it.
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

    async fn refuse_replay(&self, session: &Session, records: &HistoryAndJournal) -> Result<()> {
        let done = plan_history::applied(session, &records.history, &self.sha256).await?;
        let Some(last) = done.last() else {
            return self.refuse_half(session, records).await;
        };
        let applied = |version: i64| done.iter().any(|step| step.version == version);
        let mut steps = self.document.steps.iter();
        if steps.all(|step| applied(step.version)) {
            return Err(refuse(format!(
                "plan {} was already applied at {}; nothing was changed",
                self.sha256, last.at
            ))
            .hint("A plan can be applied once. Make a new one: af-db plan")
            .into());
        }
        if self.resume {
            return Ok(());
        }
        Err(refuse(format!(
            "{} of the {} migrations of this plan are already applied; nothing was changed",
            done.len(),
            self.document.steps.len()
        ))
        .hint("Continue with the others: --resume")
        .into())
    }

    /// Refuses to start a plan again whose first step is partially applied.
    async fn refuse_half(&self, session: &Session, records: &HistoryAndJournal) -> Result<()> {
        let half = self.half(session, records).await?;
        let Some(version) = half.first().filter(|_| !self.resume) else {
            return Ok(());
        };
        let mut steps = self.document.steps.iter();
        let file = steps.find(|step| step.version == *version);
        let file = file.map_or_else(|| version.to_string(), |step| step.file.clone());
        Err(refuse(format!(
            "an earlier run of this plan applied {file} partially; nothing was changed"
        ))
        .hint("Continue the plan with --resume, or undo the migration: af-db up --abort")
        .into())
    }

    /// The migrations that runs of this plan started and no run finished.
    async fn half(&self, session: &Session, records: &HistoryAndJournal) -> Result<Vec<i64>> {
        let mut begun = plan_history::begun(session, &records.history, &self.sha256).await?;
        begun.retain(|version| {
            records
                .unfinished
                .iter()
                .any(|half| half.version == *version)
        });
        Ok(begun)
    }

    async fn earlier(&self, inputs: PlanInputs<'_>) -> Result<EarlierRuns> {
        let steps =
            plan_history::applied(inputs.session, &inputs.records.history, &self.sha256).await?;
        let half = self.half(inputs.session, inputs.records).await?;
        Ok(EarlierRuns {
            half: !half.is_empty(),
            done: steps.into_iter().map(|step| step.version).collect(),
        })
    }
}

/// Compares the saved plan with a new one, which is returned.
pub(crate) async fn bind(
    context: &Context,
    inputs: PlanInputs<'_>,
    bound: &ApprovedPlan,
) -> Result<PreparedPlan> {
    let made = planning::make(context, inputs).await?;
    let earlier = bound.earlier(inputs).await?;
    match compare::compare(&bound.document, &made.document, &earlier) {
        PlanValidity::UpToDate => {
            context.terminal.say("plan is up to date");
        }
        PlanValidity::StillValid(moved) => {
            context
                .terminal
                .say("plan is still valid; the database has changed:");
            for line in moved {
                context.terminal.say(&format!("  {line}"));
            }
        }
        PlanValidity::Stale(differences) => {
            let lines: Vec<String> = differences
                .iter()
                .map(|line| format!("\n  {line}"))
                .collect();
            return Err(refuse(format!(
                "{} is stale; nothing was changed:{}",
                bound.shown,
                lines.concat()
            ))
            .hint("Review the differences, then make a new plan and have it approved")
            .into());
        }
    }
    refuse_failure(&made)?;
    Ok(made)
}

/// Refuses a plan with a step that is known to fail: the steps before it would be applied.
fn refuse_failure(made: &PreparedPlan) -> Result<()> {
    let findings = &made.document.findings;
    // The failure may come from something that the shadow server lacks.
    let is_certain = findings
        .iter()
        .all(|finding| finding.code != "plan-likeness");
    let failure = findings.iter().find(|finding| finding.code == "plan-fails");
    let Some(failure) = failure.filter(|_| is_certain) else {
        return Ok(());
    };
    Err(refuse(format!(
        "{}: {}; nothing was changed",
        failure.subject, failure.message
    ))
    .hint("Fix the file, then make a new plan and have it approved")
    .into())
}
