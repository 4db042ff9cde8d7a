//! Owns bringing one database of a fleet up, as `up` brings up a single one: its lock, its heartbeat, its restore point, and
//! what is looked at afterwards.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::catalog::read;
use crate::commands::fleet::bound::Bound;
use crate::commands::{Context, change::planning, change::verify, project, protection};
use crate::error::{Exit, Failure, exit_of};
use crate::event::silent;
use crate::finding::Finding;
use crate::fleet::{Fleet, Member};
use crate::migrate::apply;
use crate::migrate::files::{Migration, MigrationFolder};
use crate::pg::lock::{self, Share};
use crate::pg::pooler;
use crate::pg::session::Session;
use crate::plan::execution::Execution;
use crate::plan::heartbeat::Heartbeat;
use crate::plan::lock_schedule::LockSchedule;
use crate::shadow::schema_clone;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// How it went on one database.
pub(super) enum Ended {
    Applied(Applied),
    /// It was locked, by us or by others, until the budget was spent.
    Busy(String),
    /// It is no longer as it was when the plan was made.
    Moved(String),
    Failed(String),
    Interrupted,
}

/// What was done on one database.
pub(super) struct Applied {
    pub(super) migrations: usize,
    pub(super) took: Duration,
    pub(super) restore_point: Option<verify::RestorePoint>,
    /// What is wrong now that it is done.
    pub(super) findings: Vec<Finding>,
}

/// What is to be done on one database.
pub(super) struct Work {
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
pub(super) struct Climber<'a> {
    pub(super) context: &'a Context,
    pub(super) fleet: &'a Fleet,
    pub(super) folder: &'a MigrationFolder,
    pub(super) ladder: LockSchedule,
    pub(super) block_budget: Duration,
    pub(super) bound: Option<&'a Bound>,
}

impl Climber<'_> {
    /// Brings one database up, if it still stands where the plan has it.
    pub(super) async fn one(&self, member: &Member, work: &Work) -> Ended {
        match self.try_one(member, work).await {
            Ok(Ok(applied)) => Ended::Applied(applied),
            Ok(Err(moved)) => Ended::Moved(moved),
            Err(error) => match exit_of(&error) {
                Exit::Busy => Ended::Busy(format!("{error:#}")),
                Exit::Interrupted => Ended::Interrupted,
                _ => Ended::Failed(format!("{error:#}")),
            },
        }
    }

    async fn try_one(&self, member: &Member, work: &Work) -> Result<Result<Applied, String>> {
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
        // Held until the session ends; of a database that tenants share the run itself has the lock.
        let _lock = match &member.tenant {
            None => {
                Some(lock::take(&session, Share::Alone, Duration::from_secs(2), &silent).await?)
            }
            Some(_) => None,
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
        let mut ledger = project::ledger(&there, &records.history, self.folder)?;
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
        let beat = Heartbeat {
            pid: session.server_info().backend_pid,
            canceller: session.canceller(),
            budget: self.block_budget,
            watch: &silent,
            running: Mutex::default(),
            stopped: Mutex::default(),
        };
        let interrupt = &context.interrupt;
        let path = Sql::printed_by_server(&session.server_info().search_path);
        let execution = Execution::new(session, &member.target, self.ladder, &silent, interrupt);
        let mut execution = match member.tenant {
            // The lock is that of the run that brought the tenants' database up.
            Some(_) => execution.without_lock().within(path.clone()),
            None => execution,
        };
        let outcome = tokio::select! {
            outcome = apply::up(&mut execution, &ledger, &chosen, &records.unfinished) => outcome?,
            () = beat.run(&member.target) => unreachable!("the heartbeat never ends by itself"),
        };
        let mut session = execution.finish();
        if let Some(failure) = outcome.stopped {
            session.close().await;
            return Err(stopped(failure, beat.reason()).into());
        }
        if member.tenant.is_some() {
            // The run has put the session back to what the role is used to.
            session.set_search_path(&path).await?;
        }
        let mut findings = verify::judge(&there, &session, (&before, &ledger.run), None).await?;
        findings.retain(|finding| is_own(member, finding));
        if work.is_last {
            findings.extend(self.reached(member, &session).await?);
        }
        session.close().await;
        Ok(Ok(Applied {
            migrations: outcome.applied.len(),
            took: began.elapsed(),
            restore_point,
            findings,
        }))
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

/// Says why a run failed that stopped itself because others waited too long for it.
fn stopped(failure: Failure, reason: Option<String>) -> Failure {
    match reason {
        None => failure,
        Some(reason) if failure.exit == Exit::CannotDo => {
            crate::error::with_exit(Exit::Busy, format!("{reason}: {}", failure.message))
        }
        Some(reason) => Failure {
            message: format!("{reason}: {}", failure.message),
            ..failure
        },
    }
}
