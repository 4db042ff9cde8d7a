//! Owns the plan that a run is bound to: reading it, what earlier runs of it did, and whether it still holds.

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
    /// Run exactly the plan of this file, or nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "steps", "allow_out_of_order"])]
    pub(crate) plan: Option<PathBuf>,
    /// Approve the plan of this name, `sha256:` and 64 digits, where no person can be asked (with --plan or --fleet)
    #[arg(long, value_name = "SHA256")]
    pub(crate) approve: Option<String>,
    /// Signature file of an approver; repeat it for several approvers [default: PLAN.minisig and PLAN.*.minisig]
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub(crate) signature: Vec<PathBuf>,
    /// Go on with a plan, or a fleet, of which an earlier run did a part
    #[arg(long)]
    pub(crate) resume: bool,
}

/// A plan that a run is bound to.
pub(crate) struct ApprovedPlan {
    pub(crate) shown: String,
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) document: PlanDocument,
    resume: bool,
    pub(crate) sha256: String,
}

impl ApprovedPlan {
    /// Reads the plan that a run is bound to.
    pub(crate) fn load(args: &PlanFlags) -> Result<Option<ApprovedPlan>> {
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
        Ok(Some(ApprovedPlan {
            document: PlanDocument::parse(&shown, &text)?,
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
        records: &HistoryAndJournal,
        (folder, standing): (&MigrationFolder, &FolderStatus),
    ) -> Result<Selection> {
        self.refuse_replay(session, records).await?;
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

    async fn refuse_replay(&self, session: &Session, records: &HistoryAndJournal) -> Result<()> {
        let done = plan_history::applied(session, &records.history, &self.sha256).await?;
        let Some(last) = done.last() else {
            return self.refuse_half(session, records).await;
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

    /// Refuses to begin a plan again whose first step an earlier run left half done.
    async fn refuse_half(&self, session: &Session, records: &HistoryAndJournal) -> Result<()> {
        let half = self.half(session, records).await?;
        let Some(version) = half.first().filter(|_| !self.resume) else {
            return Ok(());
        };
        let mut steps = self.document.steps.iter();
        let file = steps.find(|step| step.version == *version);
        let file = file.map_or_else(|| version.to_string(), |step| step.file.clone());
        Err(refuse(format!(
            "an earlier run of this plan stopped half-way in {file}; nothing was touched"
        ))
        .hint("go on with the rest: --resume; or take back what is done: af-db up --abort")
        .into())
    }

    /// Gives the migrations that runs of this plan began and nobody finished.
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

/// Holds the plan against what would be planned now, and gives that.
pub(crate) async fn bind(
    context: &Context,
    inputs: PlanInputs<'_>,
    bound: &ApprovedPlan,
) -> Result<PreparedPlan> {
    let made = planning::make(context, inputs).await?;
    let earlier = bound.earlier(inputs).await?;
    match compare::compare(&bound.document, &made.document, &earlier) {
        PlanValidity::Fresh => {
            context
                .terminal
                .say("the plan is fresh: nothing has moved since it was made");
        }
        PlanValidity::Explained(moved) => {
            context
                .terminal
                .say("the plan holds: its steps are what they were, though this has moved");
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
                "{} is stale, nothing was touched:{}",
                bound.shown,
                lines.concat()
            ))
            .hint("look at what differs, plan again and have the new plan approved")
            .into());
        }
    }
    refuse_failure(&made)?;
    Ok(made)
}

/// Refuses a plan with a step that is known to fail: the ones before it would be applied.
fn refuse_failure(made: &PreparedPlan) -> Result<()> {
    let findings = &made.document.findings;
    // What the scratch server lacks may be why it failed there.
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
    .hint("fix the file, plan again and have the new plan approved")
    .into())
}
