//! Migrates one database of a fleet as `up` migrates a single one: lock, guarded run, restore point, checks afterwards.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::catalog::read;
use crate::commands::change::run::{GuardedRun, Migrations};
use crate::commands::fleet::approved_plan::ApprovedFleetPlan;
use crate::commands::{Context, change::planning, change::verify, project, protection};
use crate::error::{Exit, exit_of};
use crate::event::silent;
use crate::finding::Finding;
use crate::fleet::{Fleet, Member};
use crate::migrate::files::{Migration, MigrationFolder};
use crate::pg::lock::LockedSession;
use crate::pg::pooler;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::plan::lock_schedule::LockSchedule;
use crate::shadow::schema_clone;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// How the run on one database ended.
pub(super) enum MemberOutcome {
    Applied(MemberApplied),
    /// Locks could not be acquired within the lock budget.
    Busy(String),
    /// The database has changed since it was surveyed.
    Changed(String),
    Failed(String),
    Interrupted,
}

/// What a run did on one database.
pub(super) struct MemberApplied {
    pub(super) migrations: usize,
    pub(super) took: Duration,
    pub(super) restore_point: Option<verify::RestorePoint>,
    /// What the checks afterwards found.
    pub(super) findings: Vec<Finding>,
}

/// What one database needs in a phase.
pub(super) struct MemberWork {
    /// The applied versions when the database was surveyed.
    pub(super) applied: Vec<i64>,
    /// The versions to apply now.
    pub(super) wanted: Vec<i64>,
    /// Whether nothing is pending afterwards.
    pub(super) is_last: bool,
    /// Whether it was known as protected when the run was permitted.
    pub(super) is_protected: bool,
}

/// The settings that all databases of a run share.
pub(super) struct MemberUpgrade<'a> {
    pub(super) context: &'a Context,
    pub(super) fleet: &'a Fleet,
    pub(super) folder: &'a MigrationFolder,
    pub(super) lock_schedule: LockSchedule,
    pub(super) block_budget: Duration,
    pub(super) bound: Option<&'a ApprovedFleetPlan>,
}

impl MemberUpgrade<'_> {
    /// Migrates one database, if its history is still the surveyed one.
    ///
    /// `holder` holds the migration lock of a database shared by tenants.
    pub(super) async fn one(
        &self,
        member: &Member,
        work: &MemberWork,
        holder: Option<&LockedSession>,
    ) -> MemberOutcome {
        match self.try_one(member, work, holder).await {
            Ok(Ok(applied)) => MemberOutcome::Applied(applied),
            Ok(Err(moved)) => MemberOutcome::Changed(moved),
            Err(error) => match exit_of(&error) {
                Exit::Busy => MemberOutcome::Busy(format!("{error:#}")),
                Exit::Interrupted => MemberOutcome::Interrupted,
                _ => MemberOutcome::Failed(format!("{error:#}")),
            },
        }
    }

    async fn try_one(
        &self,
        member: &Member,
        work: &MemberWork,
        holder: Option<&LockedSession>,
    ) -> Result<Result<MemberApplied, String>> {
        let began = Instant::now();
        let context = self.context;
        let there = context.alone(member);
        let session = super::open_to_write(&there, self.fleet, member).await?;
        if there.config.database.is_protected() && !work.is_protected {
            session.close().await;
            let words = "is a protected environment, which was not known when the run started; nothing was applied";
            return Ok(Err(words.to_owned()));
        }
        pooler::require_session(&session, &member.target).await?;
        let session = match holder {
            Some(holder) => LockedSession::beside(session, holder),
            None => LockedSession::take(session, Duration::from_secs(2), &silent).await?,
        };
        let (records, _) = super::compare_history(&there, &session, self.folder).await?;
        let now: Vec<i64> = records.history.rows.iter().map(|row| row.version).collect();
        if now != work.applied {
            session.close().await;
            let words = "history has changed since the run started; nothing was applied";
            return Ok(Err(words.to_owned()));
        }
        let wanted = |file: &&Migration| work.wanted.contains(&file.version);
        let chosen: Vec<&Migration> = self.folder.migrations.iter().filter(wanted).collect();
        let mut ledger = project::record_settings(&there, &records.history, self.folder)?;
        ledger.run.plan_sha256 = self.bound.map(|bound| bound.sha256.clone());
        let before = verify::before(&session).await?;
        protection::mark(&there, &session, &member.target).await;
        project::create_history_tables(&session, &ledger, &records.history).await?;
        let guarded = there.config.database.is_protected() || self.bound.is_some();
        let restore_point = if guarded && member.tenant.is_none() {
            verify::restore_point(&session, &ledger.run.id).await
        } else {
            None
        };
        let path = Sql::printed_by_server(&session.server_info().search_path);
        let run = GuardedRun {
            search_path: member.tenant.is_some().then(|| path.clone()),
            ..self.run(&member.target)
        };
        let migrations = Migrations {
            chosen: &chosen,
            ledger: &ledger,
            unfinished: &records.unfinished,
        };
        let (mut session, outcome) = run.up(session, migrations).await?;
        if let Some(failure) = outcome.stopped {
            session.close().await;
            return Err(failure.into());
        }
        if member.tenant.is_some() {
            // The run has reset the search path of the session.
            session.set_search_path(&path).await?;
        }
        let mut findings = verify::upgraded(&there, &session, &before, &ledger.run, None).await?;
        findings.retain(|finding| is_own(member, finding));
        if work.is_last {
            findings.extend(self.compare_schema(member, &session).await?);
        }
        session.close().await;
        Ok(Ok(MemberApplied {
            migrations: outcome.applied.len(),
            took: began.elapsed(),
            restore_point,
            findings,
        }))
    }

    /// The guarded run of one database, with the budgets of the fleet.
    pub(super) fn run<'t>(&'t self, target: &'t Target) -> GuardedRun<'t> {
        GuardedRun {
            context: self.context,
            target,
            watch: &silent,
            lock_retry: self.lock_schedule,
            block_budget: self.block_budget,
            prediction: None,
            search_path: None,
        }
    }

    /// Compares the schema with the one that the plan predicted.
    async fn compare_schema(&self, member: &Member, session: &Session) -> Result<Option<Finding>> {
        let predicted = self
            .bound
            .and_then(|bound| bound.schema_after(&member.name));
        let Some((predicted, model)) = predicted else {
            return Ok(None);
        };
        let catalog = read::read(session, &schema_clone::scope()).await?;
        let there = self.context.alone(member);
        let mut reached = planning::managed(&there, &catalog);
        if let (Some(tenant), Some(model)) = (&member.tenant, model) {
            reached = reached.with_schema_renamed(&tenant.schema, model);
        }
        let reached = reached.fingerprint();
        Ok((reached != predicted).then(|| {
            Finding::error(
                "after-schema",
                &member.name,
                "the schema is not the one that the plan predicted",
            )
            .detail(format!("predicted {predicted}\nreached   {reached}"))
            .help("List the differences: af-db validate --live on this database")
        }))
    }
}

/// Whether an invalid index or constraint is the member's own: other tenants of its database are migrated in parallel.
fn is_own(member: &Member, finding: &Finding) -> bool {
    let Some(tenant) = &member.tenant else {
        return true;
    };
    let own = format!("{}.", Ident::new(&tenant.schema));
    let half_made = matches!(finding.code.as_str(), "after-index" | "after-constraint");
    !half_made
        || finding.subject.starts_with(&own)
        || finding.subject.contains(&format!(" on {own}"))
}
