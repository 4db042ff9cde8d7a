//! `up` on a fleet: phase by phase and wave by wave, each database in its own run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use crate::commands::change::gate::{self, Guard};
use crate::commands::change::run::Budgets;
use crate::commands::change::select::Selection;
use crate::commands::fleet::approved_plan::ApprovedFleetPlan;
use crate::commands::fleet::member_state::UpgradableMember;
use crate::commands::fleet::member_up::{MemberOutcome, MemberUpgrade, MemberWork};
use crate::commands::fleet::phase::{self, Phase};
use crate::commands::fleet::reference_schema::ReferenceSource;
use crate::commands::fleet::shared_migrations;
use crate::commands::fleet::survey;
use crate::commands::fleet::tenant_databases;
use crate::commands::fleet::up_report::{FleetUp, MemberProblem, group};
use crate::commands::page::count;
use crate::commands::{Context, Outcome, project};
use crate::error::refuse;
use crate::event::{Event, Unit};
use crate::fleet::{self, Fleet, Member, NextStep, Wave};
use crate::migrate::checksum;
use crate::migrate::files::{Migration, MigrationFolder};
use crate::pg::lock::LockedSession;
use crate::pg::program::Program;
use crate::plan::approval::Quorum;
use crate::plan::document;
use crate::sql::safe::Sql;

/// The flags of `up` that apply to a fleet.
pub(crate) struct UpOptions<'a> {
    pub(crate) selection: &'a Selection,
    /// The saved plan to follow.
    pub(crate) plan: Option<&'a Path>,
    /// The approved hash.
    pub(crate) approve: Option<&'a str>,
    /// Skip the bake time and the gate of waves that have nothing left to do.
    pub(crate) resume: bool,
    pub(crate) budgets: &'a Budgets,
}

/// A run on a fleet.
struct FleetRun<'a> {
    context: &'a Context,
    fleet: &'a Fleet,
    upgrade: MemberUpgrade<'a>,
    /// The sessions that hold the migration locks of databases shared by tenants, by location.
    holders: BTreeMap<String, LockedSession>,
}

/// Applies the pending migrations to every database of a fleet.
pub(crate) async fn up(context: &Context, path: &Path, options: &UpOptions<'_>) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let fleet = super::load(context, path).await?;
    let shared = shared_migrations::files(context, &fleet)?;
    let bound = match options.plan {
        Some(path) => Some(ApprovedFleetPlan::load(path, &folder, shared.as_ref())?),
        None => None,
    };
    let mut surveyed = survey::survey(
        context,
        &fleet,
        &folder,
        options.selection,
        ReferenceSource::Majority,
    )
    .await;
    if let Some(bound) = &bound {
        surveyed = bound.keep(surveyed);
    }
    let pending: BTreeSet<i64> = surveyed
        .sound
        .iter()
        .flat_map(|sound| sound.pending.iter().copied())
        .collect();
    let phases = phase::cut(&folder, &pending);
    let sha256 = match &bound {
        Some(bound) => bound.sha256.clone(),
        None => hash(&fleet, &folder, shared.as_ref(), options.selection),
    };
    let shown = context.config.shown(path);
    let mut report = FleetUp::new(&shown, &sha256, &surveyed);
    report.groups = group(&surveyed.sound);
    if pending.is_empty() && fleet.shared.is_none() {
        return context.show(&report);
    }
    admit(
        context,
        &folder,
        &surveyed.sound,
        fleet.shared.is_some(),
        &report,
        &phases,
        options,
    )
    .await?;
    let upgrade = MemberUpgrade {
        context,
        fleet: &fleet,
        folder: &folder,
        lock_schedule: project::lock_schedule(context, options.budgets.lock_budget.as_deref())?,
        block_budget: project::block_budget(context, options.budgets.block_budget.as_deref())?,
        bound: bound.as_ref(),
    };
    let guard = context.interrupt.guard();
    let mut sound = surveyed.sound;
    let run = FleetRun {
        context,
        fleet: &fleet,
        holders: tenant_databases::prepare(&upgrade, &mut sound, &mut report).await?,
        upgrade,
    };
    if report.is_stopped() {
        report.summarize(&sound);
        return context.show(&report);
    }
    for phase in &phases {
        if !run
            .phase(phase, &mut sound, &mut report, options.resume)
            .await?
        {
            break;
        }
    }
    drop(guard);
    for holder in run.holders.into_values() {
        holder.close().await;
    }
    report.summarize(&sound);
    context.show(&report)
}

/// The hash of the databases and files of a run.
///
/// It does not depend on what is already applied, so an approved run can be continued after an interruption.
fn hash(
    fleet: &Fleet,
    folder: &MigrationFolder,
    shared: Option<&MigrationFolder>,
    selection: &Selection,
) -> String {
    let files = folder
        .migrations
        .iter()
        .filter(|file| wanted(selection, file));
    let files = files.map(|file| {
        serde_json::json!({ "version": file.version, "sha256": checksum::sha256(&file.up.text) })
    });
    let mut databases: Vec<String> = fleet
        .members
        .iter()
        .map(|member| format!("{} {member}", member.name))
        .collect();
    databases.sort();
    let document = serde_json::json!({
        "databases": databases,
        "files": files.collect::<Vec<_>>(),
        "shared": shared_migrations::hashes(shared),
        "steps": selection.steps,
        "out-of-order": selection.allow_out_of_order,
    });
    document::sha256(&document.to_string())
}

fn wanted(selection: &Selection, file: &Migration) -> bool {
    selection.to.is_none_or(|to| file.version <= to)
}

/// Shows the run, and asks for confirmation if any of the databases is protected.
async fn admit(
    context: &Context,
    folder: &MigrationFolder,
    sound: &[UpgradableMember<'_>],
    has_shared: bool,
    report: &FleetUp,
    phases: &[Phase],
    options: &UpOptions<'_>,
) -> Result<()> {
    let mut proven = false;
    let mut protected = context
        .config
        .database
        .is_protected()
        .then_some(context.config.database.environment().to_owned());
    for one in sound
        .iter()
        .filter(|one| has_shared || !one.pending.is_empty())
    {
        let database = &one.database;
        let rules = database.rules();
        if Quorum::read(&rules.approvers, rules.approvals)?.needed > 0 {
            let environment = database.environment();
            return Err(refuse(format!(
                "`{}` belongs to environment `{environment}`, whose approvers sign plans of single databases; nothing was changed",
                one.member.name
            ))
            .hint("Migrate that database separately, with --plan and --signature")
            .into());
        }
        let guards = gate::guards_of(database)?;
        proven |= guards.contains(&Guard::ProvenRls);
        if database.is_protected() || guards.contains(&Guard::ApprovedPlan) {
            protected.get_or_insert_with(|| database.environment().to_owned());
        }
    }
    if proven {
        let files = folder
            .migrations
            .iter()
            .filter(|file| wanted(options.selection, file));
        let files: Vec<Migration> = files.cloned().collect();
        gate::isolation(context, None, &files).await?;
    }
    let shown = report.plan(phases);
    if let Some(approved) = options.approve {
        if approved == report.plan {
            return Ok(());
        }
        return Err(
            refuse("the approved hash does not match this run; nothing was changed")
                .hint(format!(
                    "The hash of these databases and files is {}",
                    report.plan
                ))
                .into(),
        );
    }
    let Some(environment) = protected else {
        context.terminal.say_all(&shown);
        return Ok(());
    };
    let short = report.plan.trim_start_matches("sha256:").get(..6);
    let words = format!("{environment}/fleet {}", short.unwrap_or_default());
    context
        .terminal
        .confirm_typed(&shown, &words, gate::PLANNED)
}

impl FleetRun<'_> {
    /// Runs a phase on every wave; returns whether the next phase may start.
    async fn phase(
        &self,
        phase: &Phase,
        sound: &mut [UpgradableMember<'_>],
        report: &mut FleetUp,
        resume: bool,
    ) -> Result<bool> {
        let members: Vec<&Member> = sound.iter().map(|sound| sound.member).collect();
        let waves = fleet::split(&members, &self.fleet.waves);
        let last = waves.len().saturating_sub(1);
        for (index, wave) in waves.iter().enumerate() {
            let begun = self.wave(phase, wave, sound, report).await;
            if report.is_stopped() {
                return Ok(false);
            }
            if index < last && (begun || !resume) {
                self.bake(wave, report).await;
            }
            if (begun || !resume) && !report.is_stopped() {
                self.gate(wave, report).await?;
            }
            if report.is_stopped() {
                return Ok(false);
            }
        }
        // Contracting migrations must wait until every database has the expanding ones.
        let behind = sound.iter().find(|one| {
            let mut here = phase.versions.iter();
            here.any(|version| one.pending.contains(version))
        });
        if let Some(behind) = behind {
            report.stop(format!(
                "`{}` has not completed the phase that all databases must complete first",
                behind.member.name
            ));
        }
        Ok(behind.is_none())
    }

    /// Runs a phase on one wave; returns whether there was anything to do.
    async fn wave(
        &self,
        phase: &Phase,
        wave: &Wave<'_>,
        sound: &mut [UpgradableMember<'_>],
        report: &mut FleetUp,
    ) -> bool {
        let mut work = BTreeMap::new();
        let mut members = Vec::new();
        let wanted: BTreeSet<&str> = wave.members.iter().map(|one| one.name.as_str()).collect();
        for one in sound
            .iter()
            .filter(|one| wanted.contains(one.member.name.as_str()))
        {
            let here = one.pending.iter().copied();
            let here: Vec<i64> = here.filter(|at| phase.versions.contains(at)).collect();
            if !here.is_empty() {
                let here = MemberWork {
                    applied: one.applied.clone(),
                    is_last: here.len() == one.pending.len(),
                    is_protected: one.database.is_protected(),
                    wanted: here,
                };
                work.insert(one.member.name.clone(), here);
                members.push(one.member);
            }
        }
        let watch = self.context.watch();
        watch(Event::Began {
            task: &format!("wave `{}`", wave.spec.name),
            total: u64::try_from(members.len()).ok(),
            unit: Unit::Items,
        });
        let mut tries: BTreeMap<&str, usize> = BTreeMap::new();
        let mut ended = 0;
        let mut through = BTreeSet::new();
        let migrate = async |member: &Member| {
            let holder = member.tenant.is_some().then(|| member.location());
            let holder = holder.and_then(|place| self.holders.get(&place));
            self.upgrade.one(member, &work[&member.name], holder).await
        };
        let left = fleet::for_each_member(&members, self.fleet.limits, migrate, |member, how| {
            if let MemberOutcome::Busy(_) = &how {
                let tried = tries.entry(&member.name).or_default();
                *tried += 1;
                if *tried <= self.fleet.limits.retries && !self.context.interrupt.is_raised() {
                    return NextStep::Again;
                }
            }
            ended += 1;
            let note = match report.failed.len() + report.busy.len() {
                0 => member.name.clone(),
                troubled => format!("{}, {troubled} failed or locked so far", member.name),
            };
            watch(Event::Advanced {
                done: ended,
                note: &note,
            });
            if matches!(how, MemberOutcome::Applied(_)) {
                through.insert(&member.name);
            }
            self.record(member, how, report, &watch)
        })
        .await;
        watch(Event::Ended);
        report.not_begun += left.len();
        for one in sound.iter_mut() {
            if through.contains(&one.member.name) {
                one.mark_applied(&phase.versions);
            }
        }
        !members.is_empty()
    }

    /// Adds the outcome of one database to the report, and decides whether to continue.
    fn record(
        &self,
        member: &Member,
        how: MemberOutcome,
        report: &mut FleetUp,
        watch: &dyn Fn(Event<'_>),
    ) -> NextStep {
        let name = member.name.clone();
        match how {
            MemberOutcome::Applied(applied) => report.done(name, applied),
            MemberOutcome::Busy(why) => report.busy.push(MemberProblem { name, why }),
            MemberOutcome::Changed(why) => report.moved.push(MemberProblem { name, why }),
            MemberOutcome::Interrupted => {
                report.interrupted = true;
                return NextStep::Stop;
            }
            MemberOutcome::Failed(why) => {
                watch(Event::Warning(&format!("{name}: {why}")));
                report.failed.push(MemberProblem { name, why });
                if report.failed.len() > self.fleet.limits.failures {
                    let failed = count(
                        report.failed.len(),
                        "database has failed",
                        "databases have failed",
                    );
                    report.stop(format!("{failed}, limit {}", self.fleet.limits.failures));
                    return NextStep::Stop;
                }
            }
        }
        if self.context.interrupt.is_raised() {
            report.interrupted = true;
            return NextStep::Stop;
        }
        NextStep::Continue
    }

    /// Waits for the bake time of a wave.
    async fn bake(&self, wave: &Wave<'_>, report: &mut FleetUp) {
        let bake = wave.spec.bake;
        if bake.is_zero() {
            return;
        }
        let seconds = bake.as_secs();
        self.context.terminal.say(&format!(
            "wave `{}` completed; waiting {seconds} s before the next",
            wave.spec.name
        ));
        tokio::select! {
            () = tokio::time::sleep(bake) => {}
            () = self.context.interrupt.wait() => report.interrupted = true,
        }
    }

    /// Runs the gate of a wave.
    async fn gate(&self, wave: &Wave<'_>, report: &mut FleetUp) -> Result<()> {
        let name = &wave.spec.name;
        if let [program, arguments @ ..] = wave.spec.gate.as_slice() {
            let done = Program::new(program)
                .args(arguments)
                .env("AF_DB_WAVE", name)
                .directory(&self.context.config.root)
                .run()
                .await?;
            if !done.status.success() {
                report.stop(format!(
                    "the gate of wave `{name}` failed ({})",
                    done.status
                ));
                return Ok(());
            }
        }
        let Some(question) = &wave.spec.gate_sql else {
            return Ok(());
        };
        for member in &wave.members {
            let session = super::open(self.fleet, member).await?;
            let answer = session
                .simple_query(&Sql::written_by_user(question))
                .await?;
            session.close().await;
            let yes = answer.iter().any(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    row.is_empty() || row.get(0) == Some("t")
                }
                _ => false,
            });
            if !yes {
                report.stop(format!(
                    "`{}` failed the gate of wave `{name}`",
                    member.name
                ));
                return Ok(());
            }
        }
        Ok(())
    }
}
