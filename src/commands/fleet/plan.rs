//! `plan` on a fleet: one plan for each distinct state, all in one document.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::commands::change::planning::{self, PlanInputs};
use crate::commands::change::select::Selection;
use crate::commands::fleet::each_member::few;
use crate::commands::fleet::member_state::{MemberState, SkippedMember, UpgradableMember};
use crate::commands::fleet::reference_schema::ReferenceSource;
use crate::commands::fleet::shared_migrations;
use crate::commands::fleet::survey;
use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Report, project};
use crate::error::fail;
use crate::event::{Event, Unit};
use crate::finding::{Finding, Severity};
use crate::fleet::{Fleet, Member};
use crate::migrate::files::{Migration, MigrationFolder};
use crate::plan::document::{self, PlanDocument};

/// The version of the document this program writes and reads.
const VERSION: u32 = 1;

/// What is planned for the databases in one state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct StatePlan {
    pub(super) state: MemberState,
    /// The databases, by name.
    pub(super) databases: Vec<String>,
    /// The schema that the plan was made on, where tenants share a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<String>,
    /// The plan, made on the largest of them.
    pub(super) plan: PlanDocument,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FleetPlan {
    version: u32,
    /// The shared migrations with their hashes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) shared: Vec<String>,
    pub(super) states: Vec<StatePlan>,
}

impl FleetPlan {
    fn print(&self) -> Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// Reads the text of a file.
    pub(super) fn parse(shown: &str, text: &str) -> Result<FleetPlan> {
        let refused = |why: String| {
            fail(format!("{shown} is not a fleet plan: {why}"))
                .hint("Create one: af-db plan --fleet FILE --out plan.json")
        };
        let plan: FleetPlan =
            serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        if plan.version > VERSION {
            return Err(fail(format!("{shown} was written by a newer af-db"))
                .hint("Use that version, or make a new plan with this one")
                .into());
        }
        Ok(plan)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PlanReport {
    fleet: String,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    plan: FleetPlan,
    current: usize,
    set_aside: Vec<SkippedMember>,
    #[serde(skip)]
    findings: Vec<Finding>,
    #[serde(skip)]
    fails: bool,
}

/// Shows what `up` would run on a fleet.
pub(crate) async fn plan(
    context: &Context,
    path: &Path,
    selection: &Selection,
    out: Option<&Path>,
) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let fleet = super::load(context, path).await?;
    let surveyed = survey::survey(
        context,
        &fleet,
        &folder,
        selection,
        ReferenceSource::Majority,
    )
    .await;
    let alike = alike(&surveyed.sound);
    let mut findings: Vec<Finding> = surveyed.aside.iter().map(SkippedMember::finding).collect();
    let mut states = Vec::with_capacity(alike.len());
    let mut fails = false;
    let watch = context.watch();
    watch(Event::Began {
        task: "planning each state",
        total: u64::try_from(alike.len()).ok(),
        unit: Unit::Items,
    });
    for (done, same) in (0..).zip(&alike) {
        let largest = largest(same);
        watch(Event::Advanced {
            done,
            note: &largest.member.name,
        });
        let made = one(context, &fleet, &folder, largest)
            .await
            .with_context(|| format!("planning on `{}`", largest.member.name))?;
        fails |= made.fails;
        let names: Vec<&str> = same.iter().map(|one| one.member.name.as_str()).collect();
        let here = made.document.findings.iter().cloned();
        findings.extend(here.map(|mut finding| {
            finding.message = format!("{} (in {})", finding.message, few(&names));
            finding
        }));
        states.push(StatePlan {
            state: largest.state.clone(),
            databases: names.into_iter().map(str::to_owned).collect(),
            schema: largest
                .member
                .tenant
                .as_ref()
                .map(|tenant| tenant.schema.clone()),
            plan: made.document,
        });
    }
    watch(Event::Ended);
    let plan = FleetPlan {
        version: VERSION,
        shared: shared_migrations::hashes(shared_migrations::files(context, &fleet)?.as_ref()),
        states,
    };
    let text = plan.print()?;
    let file = match out {
        Some(path) => {
            let shown = path.display().to_string();
            std::fs::write(path, &text).with_context(|| format!("writing {shown}"))?;
            Some(shown)
        }
        None => None,
    };
    let waiting: usize = alike.iter().map(Vec::len).sum();
    context.show(&PlanReport {
        fleet: context.config.shown(path),
        sha256: document::sha256(&text),
        file,
        plan,
        current: surveyed.sound.len() - waiting,
        set_aside: surveyed.aside,
        findings,
        fails,
    })
}

/// Groups the databases with pending migrations by state.
fn alike<'s, 'f>(sound: &'s [UpgradableMember<'f>]) -> Vec<Vec<&'s UpgradableMember<'f>>> {
    let mut alike: BTreeMap<_, Vec<&UpgradableMember<'f>>> = BTreeMap::new();
    for one in sound.iter().filter(|one| !one.pending.is_empty()) {
        alike
            .entry((&one.state, &one.pending))
            .or_default()
            .push(one);
    }
    alike.into_values().collect()
}

/// The largest database, on which scans and rewrites take longest.
fn largest<'s, 'f>(same: &[&'s UpgradableMember<'f>]) -> &'s UpgradableMember<'f> {
    let mut largest = same[0];
    for one in same {
        if one.bytes > largest.bytes {
            largest = one;
        }
    }
    largest
}

async fn one(
    context: &Context,
    fleet: &Fleet,
    folder: &MigrationFolder,
    sound: &UpgradableMember<'_>,
) -> Result<planning::PreparedPlan> {
    let member: &Member = sound.member;
    let there = context.alone(member);
    let session = super::open(fleet, member).await?;
    let records = project::history_and_journal(&there, &session).await?;
    let wanted = |file: &&Migration| sound.pending.contains(&file.version);
    let chosen: Vec<&Migration> = folder.migrations.iter().filter(wanted).collect();
    let inputs = PlanInputs {
        folder,
        session: &session,
        records: &records,
        chosen: &chosen,
    };
    let made = planning::make(&there, inputs).await;
    session.close().await;
    made
}

impl Report for PlanReport {
    fn command(&self) -> &'static str {
        "plan"
    }

    fn human(&self, page: &mut Page) {
        if self.plan.states.is_empty() {
            let sound = count(self.current, "database is", "databases are");
            page.line(format!("nothing to apply, {sound} up to date"));
            return;
        }
        let states = count(self.plan.states.len(), "state", "states");
        page.line(format!("plan for {}: {states}", self.fleet));
        for planned in &self.plan.states {
            page.gap();
            let from = match planned.state.history.last() {
                Some((version, _)) => format!("V{version}"),
                None => "nothing applied".to_owned(),
            };
            let names: Vec<&str> = planned.databases.iter().map(String::as_str).collect();
            let databases = count(names.len(), "database", "databases");
            let head = format!(
                "{databases} at {from}, PostgreSQL {}: {}",
                planned.state.major,
                few(&names)
            );
            page.toned(Tone::Strong, head);
            for step in &planned.plan.steps {
                page.line(format!(
                    "  {}, {}",
                    step.file,
                    count(step.statements.len(), "statement", "statements")
                ));
            }
            for loss in &planned.plan.losses {
                page.toned(Tone::Bad, format!("  data lost: {loss}"));
            }
        }
        page.gap();
        page.line(format!("{} up to date", self.current));
        if !self.set_aside.is_empty() {
            page.toned(Tone::Warn, format!("{} skipped", self.set_aside.len()));
        }
        page.line(format!("plan {}", self.sha256));
        let fleet = &self.fleet;
        page.line(match &self.file {
            Some(file) => format!(
                "to run: af-db up --fleet {fleet} --plan {file} --approve {}",
                self.sha256
            ),
            None => format!("to run exactly this plan: af-db plan --fleet {fleet} --out plan.json"),
        });
    }

    fn outcome(&self) -> Outcome {
        if self.fails {
            return Outcome::Found;
        }
        Outcome::of(&self.findings, Severity::Error)
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
