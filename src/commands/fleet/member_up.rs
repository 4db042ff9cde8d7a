//! Owns bringing one database of a fleet up, as `up` brings up a single one: its lock, its heartbeat, its restore point, and
//! what is looked at afterwards.

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

/// How it went on one database.
pub(super) enum MemberOutcome {
    Applied(MemberApplied),
    /// It was locked, by us or by others, until the budget was spent.
    Busy(String),
    /// It is no longer as it was when the plan was made.
    Changed(String),
    Failed(String),
    Interrupted,
}

/// What was done on one database.
pub(super) struct MemberApplied {
    pub(super) migrations: usize,
    pub(super) took: Duration,
    pub(super) restore_point: Option<verify::RestorePoint>,
    /// What is wrong now that it is done.
    pub(super) findings: Vec<Finding>,
}

/// What is to be done on one database.
pub(super) struct MemberWork {
    /// What its history was when it was asked.
    pub(super) applied: Vec<i64>,
    /// What it gets now.
    pub(super) wanted: Vec<i64>,
    /// Whether nothing is left for it behind this.
    pub(super) is_last: bool,
    /// Whether it was known to be protected when the run was permitted.
    pub(super) is_protected: bool,
}

/// What all databases share.
pub(super) struct MemberUpgrade<'a> {
    pub(super) context: &'a Context,
    pub(super) fleet: &'a Fleet,
    pub(super) folder: &'a MigrationFolder,
    pub(super) ladder: LockSchedule,
    pub(super) block_budget: Duration,
    pub(super) bound: Option<&'a ApprovedFleetPlan>,
}

impl MemberUpgrade<'_> {
    /// Brings one database up, if it still stands where the plan has it.
    ///
    /// `holder` holds the lock of a database that tenants share.
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
            let words = "it is a protected environment, which was not known when the run began; nothing was done to it";
            return Ok(Err(words.to_owned()));
        }
        pooler::require_session(&session, &member.target).await?;
        let session = match holder {
            Some(holder) => LockedSession::beside(session, holder),
            None => LockedSession::take(session, Duration::from_secs(2), &silent).await?,
        };
        let (records, _) = super::stand(&there, &session, self.folder).await?;
        let now: Vec<i64> = records.history.rows.iter().map(|row| row.version).collect();
        if now != work.applied {
            session.close().await;
            let words = "its history has changed since the fleet was asked; nothing was done to it";
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
            // The run has put the session back to what the role is used to.
            session.set_search_path(&path).await?;
        }
        let mut findings = verify::upgraded(&there, &session, (&before, &ledger.run), None).await?;
        findings.retain(|finding| is_own(member, finding));
        if work.is_last {
            findings.extend(self.reached(member, &session).await?);
        }
        session.close().await;
        Ok(Ok(MemberApplied {
            migrations: outcome.applied.len(),
            took: began.elapsed(),
            restore_point,
            findings,
        }))
    }

    /// The run of one database, within the budgets of the fleet's.
    pub(super) fn run<'t>(&'t self, target: &'t Target) -> GuardedRun<'t> {
        GuardedRun {
            context: self.context,
            target,
            watch: &silent,
            lock_retry: self.ladder,
            block_budget: self.block_budget,
            prediction: None,
            search_path: None,
        }
    }

    /// Says whether the schema is what the plan foresaw.
    async fn reached(&self, member: &Member, session: &Session) -> Result<Option<Finding>> {
        let foreseen = self
            .bound
            .and_then(|bound| bound.schema_after(&member.name));
        let Some((foreseen, model)) = foreseen else {
            return Ok(None);
        };
        let catalog = read::read(session, &schema_clone::scope()).await?;
        let there = self.context.alone(member);
        let mut reached = planning::governed(&there, &catalog);
        if let (Some(tenant), Some(model)) = (&member.tenant, model) {
            reached = reached.with_schema_called(&tenant.schema, model);
        }
        let reached = reached.fingerprint();
        Ok((reached != foreseen).then(|| {
            Finding::error(
                "after-schema",
                &member.name,
                "its schema is not what the plan foresaw",
            )
            .detail(format!("foreseen {foreseen}\nreached  {reached}"))
            .help("see what differs: af-db validate --live on this database")
        }))
    }
}

/// Says whether something half-made is a member's own; the other tenants of its database are at work as well.
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
