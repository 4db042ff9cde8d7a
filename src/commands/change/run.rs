//! The one guarded run: every step goes through lock retries, a heartbeat and a block budget, whichever command runs it.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::Result;

use crate::commands::{Context, project};
use crate::error::{Exit, Failure};
use crate::event::Watch;
use crate::migrate::apply::{self, RunOutcome};
use crate::migrate::files::Migration;
use crate::migrate::job::RecordSettings;
use crate::migrate::journal::Unfinished;
use crate::pg::lock::LockedSession;
use crate::pg::target::Target;
use crate::plan::execution::Execution;
use crate::plan::heartbeat::Heartbeat;
use crate::plan::lock_schedule::LockSchedule;
use crate::plan::observe::guard::Prediction;
use crate::sql::safe::Sql;

/// How long a run may wait for locks, and how long others may wait for the run.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Budgets {
    /// Retry lock timeouts for at most this long, such as 10min [default: migrations.lock-budget]
    #[arg(long, value_name = "TIME")]
    pub(crate) lock_budget: Option<String>,
    /// Abort if other sessions have been blocked by this run for this long, such as 30s [default: migrations.block-budget]
    #[arg(long, value_name = "TIME")]
    pub(crate) block_budget: Option<String>,
}

/// How steps are run on one database.
pub(crate) struct GuardedRun<'a> {
    pub(crate) context: &'a Context,
    pub(crate) target: &'a Target,
    pub(crate) watch: Watch<'a>,
    pub(crate) lock_retry: LockSchedule,
    /// How long others may be blocked before the run is cancelled.
    pub(crate) block_budget: Duration,
    /// What the steps may do at most; none where no plan has observed them.
    pub(crate) prediction: Option<Prediction>,
    /// Where names without a schema are looked up, if not where the role is used to.
    pub(crate) search_path: Option<Sql>,
}

/// The migrations of a run, and where they are recorded.
#[derive(Clone, Copy)]
pub(crate) struct Migrations<'a> {
    pub(crate) chosen: &'a [&'a Migration],
    pub(crate) ledger: &'a RecordSettings,
    pub(crate) unfinished: &'a [Unfinished],
}

impl<'a> GuardedRun<'a> {
    /// A run within the budgets given, or else those of the configuration.
    pub(crate) fn new(
        context: &'a Context,
        target: &'a Target,
        budgets: &Budgets,
        watch: Watch<'a>,
    ) -> Result<Self> {
        Ok(GuardedRun {
            context,
            target,
            watch,
            lock_retry: project::lock_schedule(context, budgets.lock_budget.as_deref())?,
            block_budget: project::block_budget(context, budgets.block_budget.as_deref())?,
            prediction: None,
            search_path: None,
        })
    }

    /// Applies migrations; returns the session for what comes afterwards.
    pub(crate) async fn up(
        self,
        session: LockedSession,
        migrations: Migrations<'_>,
    ) -> Result<(LockedSession, RunOutcome)> {
        let up = async |execution: &mut Execution<'_>| {
            apply::up(
                execution,
                migrations.ledger,
                migrations.chosen,
                migrations.unfinished,
            )
            .await
        };
        self.migrate(session, up).await
    }

    /// Reverts migrations; the note is recorded with each.
    pub(crate) async fn down(
        self,
        session: LockedSession,
        migrations: Migrations<'_>,
        note: Option<String>,
    ) -> Result<(LockedSession, RunOutcome)> {
        let down = async |execution: &mut Execution<'_>| {
            apply::down(
                execution,
                migrations.ledger,
                migrations.chosen,
                migrations.unfinished,
                note,
            )
            .await
        };
        self.migrate(session, down).await
    }

    async fn migrate(
        self,
        session: LockedSession,
        work: impl AsyncFnOnce(&mut Execution<'_>) -> Result<RunOutcome>,
    ) -> Result<(LockedSession, RunOutcome)> {
        let (session, outcome, aborted) = self.guarded(session, work).await;
        let mut outcome = outcome?;
        outcome.stopped = outcome.stopped.map(|failure| because(failure, aborted));
        Ok((session, outcome))
    }

    /// Runs steps; also returns why the heartbeat aborted them, if it did.
    pub(crate) async fn guarded<T>(
        self,
        session: LockedSession,
        work: impl AsyncFnOnce(&mut Execution<'_>) -> T,
    ) -> (LockedSession, T, Option<String>) {
        let beat = Heartbeat {
            pid: session.server_info().backend_pid,
            canceller: session.canceller(),
            budget: self.block_budget,
            watch: self.watch,
            running: Mutex::default(),
            stopped: Mutex::default(),
        };
        let interrupt = &self.context.interrupt;
        let _guard = interrupt.guard();
        let execution =
            Execution::new(session, self.target, self.lock_retry, self.watch, interrupt);
        let mut execution = execution.showing(&beat.running);
        if let Some(path) = self.search_path {
            execution = execution.within(path);
        }
        if let Some(prediction) = self.prediction {
            execution.predict(prediction);
        }
        let done = tokio::select! {
            done = work(&mut execution) => done,
            () = beat.run(self.target) => unreachable!("the heartbeat never ends by itself"),
        };
        (execution.finish(), done, beat.reason())
    }
}

/// Adds why the heartbeat aborted a run to the failure that came of it.
pub(crate) fn because(mut failure: Failure, aborted: Option<String>) -> Failure {
    let Some(reason) = aborted else {
        return failure;
    };
    if failure.exit == Exit::CannotDo {
        failure.exit = Exit::Busy;
    }
    failure.message = format!("{reason}: {}", failure.message);
    failure.hint("Run it when fewer sessions are waiting, or raise the limit: --block-budget 5min")
}
